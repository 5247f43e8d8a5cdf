// What a prompt is encoded to, once for all runs that have it: those that start together wait for one encoding.
import { LRUCache } from "lru-cache";
import type { EncodedPrompt, EncodePromptOptions } from "./encoded_prompt.ts";

/**
 * Bytes that all remembered prompts take together, the newest of them: seven of FLUX.1-dev, a hundred of SDXL. Reruns of a
 * prompt and the empty negative prompt of many are what they are kept for.
 */
export const REMEMBERED_PROMPT_BYTES = 64 * 2 ** 20;

export interface EncodeSharedOptions extends EncodePromptOptions {
  /** Aborts when the last of those who wait has left. */
  signal: AbortSignal;
}

interface Encoding {
  result: Promise<EncodedPrompt>;
  waiting: number;
  controller: AbortController;
}

export class RememberedPrompts {
  readonly #encode: (text: string, options: EncodeSharedOptions) => Promise<EncodedPrompt>;
  readonly #encoded: LRUCache<string, EncodedPrompt>;
  readonly #underWay = new Map<string, Encoding>();

  /** @param encode called where a prompt is neither known nor being encoded */
  constructor(
    encode: (text: string, options: EncodeSharedOptions) => Promise<EncodedPrompt>,
    { maxBytes = REMEMBERED_PROMPT_BYTES }: { maxBytes?: number } = {},
  ) {
    this.#encode = encode;
    this.#encoded = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ embeds, pooled }, key) => embeds.byteLength + pooled.byteLength + 2 * key.length,
    });
  }

  /**
   * @param options a signal that aborts ends the encoding, unless others wait for it too: then only this caller leaves
   * @returns what all who ask for this prompt share, and must not write to
   * @throws what `encode` throws, which is tried again by the next caller. @throws the signal's reason: if nobody else waits,
   * once the encoding has ended.
   */
  async encode(
    text: string,
    { maxSequenceLength, signal }: EncodePromptOptions,
  ): Promise<EncodedPrompt> {
    const key = `${maxSequenceLength} ${text}`;
    const known = this.#encoded.get(key);
    if (known !== undefined) return known;
    signal?.throwIfAborted();
    const encoding = this.#underWay.get(key) ?? this.#start(key, { text, maxSequenceLength });

    encoding.waiting++;
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => {
      if (--encoding.waiting > 0) return reject(signal!.reason);
      // From here on it fails, so whoever comes next begins another one.
      this.#forget(key, encoding);
      encoding.controller.abort(signal!.reason);
    };
    signal?.addEventListener("abort", leave);
    try {
      return await Promise.race([encoding.result, left]);
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  #start(key: string, { text, maxSequenceLength }: { text: string; maxSequenceLength: number }): Encoding {
    const controller = new AbortController();
    const result = this.#encode(text, { maxSequenceLength, signal: controller.signal })
      .then((encoded) => {
        this.#encoded.set(key, encoded);
        return encoded;
      })
      .finally(() => this.#forget(key, encoding));
    const encoding: Encoding = { result, waiting: 0, controller };
    this.#underWay.set(key, encoding);
    return encoding;
  }

  #forget(key: string, encoding: Encoding): void {
    if (this.#underWay.get(key) === encoding) this.#underWay.delete(key);
  }
}
