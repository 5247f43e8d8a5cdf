// Delivers a finished picture: in base64, or as an address.
import { CONTENT_TYPES, type OutputFormat } from "../../protocol/wire/generation_fields.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import type { ResultStore } from "../../protocol/store/results/result_store.ts";
import type { SignedUrls } from "./signed_urls.ts";

export interface DeliverPictureOptions {
  results: ResultStore;
  urls: SignedUrls;
  /** Origin under which clients reach this edge: "https://pictures.example". Undefined if unknown. */
  origin: string | undefined;
  output_format: OutputFormat;
  /** The picture's name in the result store. */
  key: string;
}

/**
 * Returns the picture's address. If the store does not keep the picture, or nobody knows how clients reach
 * this edge, the address is a data: URL with the picture itself.
 */
export async function pictureUrl(event: CompletedEvent, options: DeliverPictureOptions): Promise<string> {
  const { results, urls, origin, key, output_format } = options;
  const { type: _type, ...result } = event;
  const inline = () => `data:${CONTENT_TYPES[output_format]};base64,${event.b64_json}`;
  if (origin === undefined) return inline();
  const isStored = async () => await results.has(key).catch(() => false);
  if (!await isStored()) {
    // The picture is not stored yet, or never, as its seed was drawn.
    await results.set(key, {
      ...result,
      receipt: { ...event.receipt, cache: "miss" },
      stored_at: Date.now(),
    });
    if (!await isStored()) return inline();
  }
  return origin + await urls.sign(`${key}.${output_format}`);
}
