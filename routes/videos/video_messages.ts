// The events of a video's run, as server-sent events: this project's own, in the manner of its image streams.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { RunEvent } from "../../protocol/wire/run_event.ts";
import type { SseMessage } from "../../protocol/http/stream_events.ts";
import { runFailure } from "../runs/run_failure.ts";

export interface VideoMessagesOptions {
  id: string;
  /** The video's object, once it is complete. */
  object: () => Promise<object>;
  /** Called with the error that ends the stream early. The client sees only ApiErrors. */
  onError: (error: ApiError) => void;
}

/** Ends with `video.completed` or one `error`. Never throws. */
export async function* videoMessages(
  events: AsyncIterable<{ id: number | string; event: RunEvent }>,
  options: VideoMessagesOptions,
): AsyncGenerator<SseMessage> {
  try {
    for await (const { id, event } of events) {
      const data = await toVideoEvent(event, options);
      if (data !== undefined) yield { id: `${id}`, event: data.type, data: JSON.stringify(data) };
    }
  } catch (cause) {
    const error = ApiError.from(cause);
    options.onError(error);
    yield { event: "error", data: JSON.stringify(error.toBody()) };
  }
}

/** @throws {ApiError} if the run ended without a video */
async function toVideoEvent(event: RunEvent, { id, object }: VideoMessagesOptions) {
  switch (event.type) {
    case "queued":
      return { type: "video.queued", id, position: event.position };
    case "started":
      return undefined;
    case "restarted":
      return { type: "video.restarted", id, attempt: event.attempt };
    case "step":
      return { ...event, type: "video.progress", id };
    case "preview": {
      const { b64_json, preview_index, step_index } = event;
      // A frame from the middle of the video, as WebP.
      return {
        type: "video.partial_image",
        id,
        b64_json,
        output_format: "webp",
        partial_image_index: preview_index,
        step_index,
      };
    }
    case "completed":
      return { type: "video.completed", id, video: await object() };
    case "failed":
    case "cancelled":
      throw runFailure(event);
    default:
      throw new TypeError(
        `Cannot stream an event of type ${(event satisfies never as { type: string }).type}`,
      );
  }
}
