// Finished pictures by cache key. Two implementations: in this process, and in Redis.
import type { Receipt } from "../../protocol/receipt.ts";

export interface StoredResult {
  b64_json: string;
  receipt: Receipt;
  /** Latent tokens, for usage figures. */
  image_tokens: number;
}

export interface ResultStore {
  get(key: string): Promise<StoredResult | undefined>;
  /** May decline, by size or because the store is away; never a reason to fail a request. */
  set(key: string, result: StoredResult): Promise<void>;
}
