// Prompts for FLUX: CLIP's pooled output and T5's states (FluxPipeline.encode_prompt).
import { LRUCache } from "lru-cache";
import type { Runtime } from "../runtime/mod.ts";
import { encodeText, type LoadedEncoder } from "./encode_text.ts";
import { type EncodedPrompt, type EncodePromptOptions, REMEMBERED_PROMPTS } from "./encoded_prompt.ts";

export interface FluxTextEncoders {
  clip: LoadedEncoder;
  t5: LoadedEncoder;
}

/** The encoders stay the caller's. */
export class FluxPromptEncoder {
  readonly #runtime: Runtime;
  readonly #encoders: FluxTextEncoders;
  readonly #remembered = new LRUCache<string, EncodedPrompt>({ max: REMEMBERED_PROMPTS });

  constructor(runtime: Runtime, encoders: FluxTextEncoders) {
    this.#runtime = runtime;
    this.#encoders = encoders;
  }

  /** Encodes one prompt; too long ones are cut as diffusers does. */
  async encode(text: string, { maxSequenceLength, signal }: EncodePromptOptions): Promise<EncodedPrompt> {
    const key = `${maxSequenceLength} ${text}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const { clip, t5 } = this.#encoders;
    const run = { runtime: this.#runtime, text, signal };
    const { pooled_output } = await encodeText(clip, { ...run, maxLength: clip.tokenizer.modelMaxLength });
    const { last_hidden_state } = await encodeText(t5, { ...run, maxLength: maxSequenceLength });
    const encoded = { tokens: maxSequenceLength, embeds: last_hidden_state!, pooled: pooled_output! };
    this.#remembered.set(key, encoded);
    return encoded;
  }
}
