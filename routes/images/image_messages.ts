// A request's events as OpenAI streams them, with this project's own beside them where asked for.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ImageRequest } from "../requests/image_request.ts";
import type { CompleteSettings } from "../../protocol/wire/run_request.ts";
import type { SseMessage } from "../../protocol/http/stream_events.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import type { PictureEvent } from "../runs/merge_pictures.ts";
import { runFailure } from "../runs/run_failure.ts";
import { type Delivered, pictureFacts, usage, withWarnings } from "./image_response.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

export interface ImageMessagesOptions {
  request: ImageRequest;
  settings: CompleteSettings;
  /** Sentences about unmet wishes. */
  warnings?: readonly string[];
  /** Prefix of OpenAI's event names. */
  kind: "image_generation" | "image_edit";
  /** The picture with this place in the request, as the client wants it. */
  deliver: (event: CompletedEvent, imageIndex: number) => Promise<Delivered>;
  /** Called with the error that ends the stream early. The client sees only ApiErrors. */
  onError: (error: ApiError) => void;
}

/** Turns a run's events into SSE messages: one `completed` for each picture, or one `error`. Never throws. */
export async function* imageMessages(
  events: AsyncIterable<PictureEvent>,
  options: ImageMessagesOptions,
): AsyncGenerator<SseMessage> {
  try {
    for await (const event of events) {
      const data = await toImageEvent(event, options);
      if (data !== undefined) yield { id: event.id, event: data.type, data: JSON.stringify(data) };
    }
  } catch (cause) {
    const error = ApiError.from(cause);
    options.onError(error);
    yield { event: "error", data: JSON.stringify(error.toBody()) };
  }
}

/** @throws {ApiError} if the run ended without a picture */
async function toImageEvent({ imageIndex: image_index, event }: PictureEvent, options: ImageMessagesOptions) {
  const { request, settings, kind } = options;
  const facts = () => ({
    ...pictureFacts(request, settings),
    created_at: unixSeconds(Date.now()),
    image_index,
  });
  switch (event.type) {
    case "queued":
      return request.progress ? { type: `${kind}.queued`, image_index, position: event.position } : undefined;
    case "started":
      return undefined;
    case "restarted":
      return request.progress
        ? { type: `${kind}.restarted`, image_index, attempt: event.attempt }
        : undefined;
    case "step":
      return request.progress ? { ...event, type: `${kind}.progress`, image_index } : undefined;
    case "preview":
      // A run that was joined may show more than this request asked for.
      return event.preview_index < request.partial_images
        ? {
          type: `${kind}.partial_image`,
          b64_json: event.b64_json,
          partial_image_index: event.preview_index,
          ...facts(),
        }
        : undefined;
    case "completed":
      return {
        type: `${kind}.completed`,
        ...await options.deliver(event, image_index),
        ...facts(),
        seed: event.receipt.seed,
        receipt: withWarnings(event.receipt, options.warnings),
        usage: usage([event], settings),
      };
    case "failed":
    case "cancelled":
      throw runFailure(event);
    default:
      throw new TypeError(
        `Cannot stream an event of type ${(event satisfies never as PictureEvent["event"]).type}`,
      );
  }
}
