// Prompts for Wan: UMT5's states of the cleaned text, zeros behind its last token (WanPipeline.encode_prompt).
import type { Runtime } from "../../runtime/mod.ts";
import { cleanPrompt } from "./clean_prompt.ts";
import { encodeText, type LoadedEncoder } from "../../text/encode_text.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { RememberedPrompts } from "../../text/remembered_prompts.ts";

export interface WanTextEncoder extends LoadedEncoder {
  /** Features of a token: text_dim. */
  width: number;
}

/** The encoder stays the caller's. */
export class WanPromptEncoder {
  readonly #runtime: Runtime;
  readonly #encoder: WanTextEncoder;
  readonly #remembered = new RememberedPrompts((text, options) => this.#encode(text, options));

  constructor(runtime: Runtime, encoder: WanTextEncoder) {
    this.#runtime = runtime;
    this.#encoder = encoder;
  }

  /** Encodes one prompt; too long ones are cut as diffusers does. */
  encode(text: string, options: EncodePromptOptions): Promise<EncodedPrompt> {
    return this.#remembered.encode(cleanPrompt(text), options);
  }

  async #encode(text: string, { maxSequenceLength, signal }: EncodePromptOptions): Promise<EncodedPrompt> {
    // diffusers masks the padding and then overwrites it, which comes to the same as leaving it out.
    const { last_hidden_state } = await encodeText(this.#encoder, {
      runtime: this.#runtime,
      text,
      maxLength: maxSequenceLength,
      withoutPadding: true,
      signal,
    });
    const embeds = new Float32Array(maxSequenceLength * this.#encoder.width);
    embeds.set(last_hidden_state!);
    return { tokens: maxSequenceLength, embeds, pooled: new Float32Array() };
  }
}
