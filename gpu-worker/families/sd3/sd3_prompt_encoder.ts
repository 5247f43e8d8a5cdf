// Prompts for Stable Diffusion 3: the states of both CLIP encoders side by side, then T5's
// (StableDiffusion3Pipeline.encode_prompt).
import type { Runtime } from "../../runtime/mod.ts";
import { encodeText, type EncodeTextOptions, type LoadedEncoder } from "../../text/encode_text.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { joinFeatures } from "../../text/join_features.ts";
import { RememberedPrompts } from "../../text/remembered_prompts.ts";

export interface Sd3TextEncoders {
  clip: LoadedEncoder;
  clip2: LoadedEncoder;
  /** Where a checkpoint goes without T5, its tokens are zeros. */
  t5: LoadedEncoder | undefined;
}

export interface Sd3PromptEncoderOptions {
  encoders: Sd3TextEncoders;
  /** Features of a token: joint_attention_dim. */
  width: number;
}

/** The encoders stay the caller's. */
export class Sd3PromptEncoder {
  readonly #runtime: Runtime;
  readonly #options: Sd3PromptEncoderOptions;
  readonly #remembered = new RememberedPrompts((text, options) => this.#encode(text, options));

  constructor(runtime: Runtime, options: Sd3PromptEncoderOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  /** Encodes one prompt; too long ones are cut as diffusers does. */
  encode(text: string, options: EncodePromptOptions): Promise<EncodedPrompt> {
    return this.#remembered.encode(text, options);
  }

  async #encode(text: string, { maxSequenceLength, signal }: EncodePromptOptions): Promise<EncodedPrompt> {
    const { encoders: { clip, clip2, t5 }, width } = this.#options;
    // Both CLIP encoders' states stand side by side, so the first one's length holds for both.
    const clipTokens = clip.tokenizer.modelMaxLength;
    const run: Omit<EncodeTextOptions, "maxLength"> = { runtime: this.#runtime, text, signal };
    const first = await encodeText(clip, { ...run, maxLength: clipTokens });
    const second = await encodeText(clip2, { ...run, maxLength: clipTokens });
    const states = [first, second].map((outputs) => outputs["penultimate_hidden_state"]!);
    const pooled = [first, second].map((outputs) => outputs["text_embeds"]!);
    const t5Outputs = t5 && await encodeText(t5, { ...run, maxLength: maxSequenceLength });

    const embeds = new Float32Array((clipTokens + maxSequenceLength) * width);
    embeds.set(joinFeatures(states, { tokens: clipTokens, width }));
    if (t5Outputs) embeds.set(t5Outputs["last_hidden_state"]!, clipTokens * width);
    return {
      tokens: clipTokens + maxSequenceLength,
      embeds,
      pooled: joinFeatures(pooled, { tokens: 1 }),
    };
  }
}
