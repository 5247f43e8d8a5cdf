// Finished pictures in the shape of OpenAI's images response.
import type { ImageRequest } from "../requests/image_request.ts";
import type { Receipt } from "../../protocol/wire/receipt.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import type { CompleteSettings } from "../../protocol/wire/run_request.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

const UTF8 = new TextEncoder();

/** Fields that the response and every stream event repeat. */
export function pictureFacts(request: ImageRequest, { width, height, picture_size }: CompleteSettings) {
  const { quality } = request;
  return {
    background: "opaque" as const,
    output_format: request.output_format,
    // A request's wish, for clients that read it back; pictures do not depend on it.
    quality: quality === "low" || quality === "medium" || quality === "high" ? quality : "auto",
    size: picture_size ?? `${width}x${height}`,
  };
}

/** A picture for the client: its bytes, or an address. */
export type Delivered = { b64_json: string } | { url: string };

/** Returns the body of a JSON answer. */
export function imagesResponse(
  pictures: readonly CompletedEvent[],
  { request, settings, warnings, delivered }: {
    request: ImageRequest;
    settings: CompleteSettings;
    warnings?: readonly string[];
    delivered: readonly Delivered[];
  },
) {
  return {
    created: unixSeconds(Date.now()),
    model: pictures[0]!.receipt.model,
    ...pictureFacts(request, settings),
    data: pictures.map(({ receipt }, index) => ({
      ...delivered[index]!,
      seed: receipt.seed,
      receipt: withWarnings(receipt, warnings),
    })),
    usage: usage(pictures, settings),
  };
}

/**
 * Counts tokens as OpenAI reports them. Text tokens are estimated, four UTF-8 bytes each, as the edge has no
 * tokenizer. Image tokens are the latent tokens that the denoiser worked on.
 */
export function usage(pictures: readonly CompletedEvent[], settings: CompleteSettings) {
  const bytes = UTF8.encode(settings.prompt + settings.negative_prompt).length;
  const text_tokens = Math.ceil(bytes / 4);
  const output_tokens = pictures.reduce((sum, { image_tokens }) => sum + image_tokens, 0);
  return {
    input_tokens: text_tokens,
    input_tokens_details: { image_tokens: 0, text_tokens },
    output_tokens,
    total_tokens: text_tokens + output_tokens,
  };
}

/** Adds sentences about unmet wishes to those of the worker. */
export function withWarnings(receipt: Receipt, warnings: readonly string[] = []): Receipt {
  return warnings.length === 0 ? receipt : { ...receipt, warnings: [...warnings, ...receipt.warnings ?? []] };
}
