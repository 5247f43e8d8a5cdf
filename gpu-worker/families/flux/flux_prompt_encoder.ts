// Prompts for FLUX: CLIP's pooled output and T5's states (FluxPipeline.encode_prompt).
import type { Runtime } from "../../runtime/mod.ts";
import { encodeText, type LoadedEncoder } from "../../text/encode_text.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { RememberedPrompts } from "../../text/remembered_prompts.ts";

export interface FluxTextEncoders {
  clip: LoadedEncoder;
  t5: LoadedEncoder;
}

/** The encoders stay the caller's. */
export class FluxPromptEncoder {
  readonly #runtime: Runtime;
  readonly #encoders: FluxTextEncoders;
  readonly #remembered = new RememberedPrompts((text, options) => this.#encode(text, options));

  constructor(runtime: Runtime, encoders: FluxTextEncoders) {
    this.#runtime = runtime;
    this.#encoders = encoders;
  }

  /** Encodes one prompt; too long ones are cut as diffusers does. */
  encode(text: string, options: EncodePromptOptions): Promise<EncodedPrompt> {
    return this.#remembered.encode(text, options);
  }

  async #encode(text: string, { maxSequenceLength, signal }: EncodePromptOptions): Promise<EncodedPrompt> {
    const { clip, t5 } = this.#encoders;
    const run = { runtime: this.#runtime, text, signal };
    const { pooled_output } = await encodeText(clip, { ...run, maxLength: clip.tokenizer.modelMaxLength });
    const { last_hidden_state } = await encodeText(t5, { ...run, maxLength: maxSequenceLength });
    return { tokens: maxSequenceLength, embeds: last_hidden_state!, pooled: pooled_output! };
  }
}
