// Prompts for Wan: UMT5's states of the cleaned text, zeros behind its last token (WanPipeline.encode_prompt).
import { LRUCache } from "lru-cache";
import type { Runtime } from "../runtime/mod.ts";
import { cleanPrompt } from "./clean_prompt.ts";
import { encodeText, type LoadedEncoder } from "./encode_text.ts";
import { type EncodedPrompt, type EncodePromptOptions, REMEMBERED_PROMPTS } from "./encoded_prompt.ts";

export interface WanTextEncoder extends LoadedEncoder {
  /** Features of a token: text_dim. */
  width: number;
}

/** The encoder stays the caller's. */
export class WanPromptEncoder {
  readonly #runtime: Runtime;
  readonly #encoder: WanTextEncoder;
  readonly #remembered = new LRUCache<string, EncodedPrompt>({ max: REMEMBERED_PROMPTS });

  constructor(runtime: Runtime, encoder: WanTextEncoder) {
    this.#runtime = runtime;
    this.#encoder = encoder;
  }

  /** Encodes one prompt; too long ones are cut as diffusers does. */
  async encode(text: string, { maxSequenceLength, signal }: EncodePromptOptions): Promise<EncodedPrompt> {
    const cleaned = cleanPrompt(text);
    const key = `${maxSequenceLength} ${cleaned}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    // diffusers masks the padding and then overwrites it, which comes to the same as leaving it out.
    const { last_hidden_state } = await encodeText(this.#encoder, {
      runtime: this.#runtime,
      text: cleaned,
      maxLength: maxSequenceLength,
      withoutPadding: true,
      signal,
    });
    const embeds = new Float32Array(maxSequenceLength * this.#encoder.width);
    embeds.set(last_hidden_state!);
    const encoded = { tokens: maxSequenceLength, embeds, pooled: new Float32Array() };
    this.#remembered.set(key, encoded);
    return encoded;
  }
}
