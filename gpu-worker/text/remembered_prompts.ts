// Remembers encoded prompts. Runs that start together with the same prompt share one encoding.
import { LRUCache } from "lru-cache";
import type { EncodedPrompt, EncodePromptOptions } from "./encoded_prompt.ts";

/**
 * Largest total size of the remembered prompts in bytes: seven of FLUX.1-dev, or a hundred of SDXL. The
 * newest are kept, for reruns of a prompt and for the empty negative prompt, which many requests share.
 */
export const REMEMBERED_PROMPT_BYTES = 64 * 2 ** 20;

export interface EncodeSharedOptions extends EncodePromptOptions {
  /** Aborts when nobody waits for the encoding any more. */
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

  /** @param encode called if a prompt is neither known nor being encoded */
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
   * Returns the encoding of a prompt. All callers share it and must not write to it.
   * If the signal aborts, this caller stops waiting. The encoding itself is aborted
   * only if nobody else waits for it.
   * @throws the error of `encode`; the next caller tries again.
   * @throws the signal's reason. If nobody else waits, only once the encoding has ended.
   */
  async encode(
    text: string,
    { signal, ...options }: EncodePromptOptions,
  ): Promise<EncodedPrompt> {
    const { maxSequenceLength, promptWeights = false, longPrompts = false, references = [], firstFrame } =
      options;
    const images = [...references, ...firstFrame ? [firstFrame] : []].map(({ file }) => file!.sha256).join();
    const key = `${maxSequenceLength}${promptWeights ? "w" : ""}${longPrompts ? "l" : ""}${images} ${text}`;
    const known = this.#encoded.get(key);
    if (known !== undefined) return known;
    signal?.throwIfAborted();
    const encoding = this.#underWay.get(key) ?? this.#start(key, { text, ...options });

    encoding.waiting++;
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => {
      if (--encoding.waiting > 0) return reject(signal!.reason);
      // This encoding fails from now on, so the next caller must start another one.
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

  #start(
    key: string,
    { text, ...options }: Omit<EncodePromptOptions, "signal"> & { text: string },
  ): Encoding {
    const controller = new AbortController();
    const result = this.#encode(text, { ...options, signal: controller.signal })
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
