// The events of several pictures as one stream, in the order in which they happen.
import type { RunEvent } from "../../protocol/wire/run_event.ts";
import type { RunView } from "./run_view.ts";

export interface PictureEvent {
  /** 0-based place of the picture in the request. */
  imageIndex: number;
  /** Position of each picture, "7" or "12.9.0". It names this place in the merged stream. */
  id: string;
  event: RunEvent;
}

/**
 * Ends when all pictures have ended.
 * @param after how far each picture was read before. @default not at all
 * @throws {ApiError} what the first picture to fail throws
 */
export async function* mergePictures(
  pictures: readonly Pick<RunView, "events">[],
  signal: AbortSignal,
  after: readonly number[] = [],
): AsyncGenerator<PictureEvent> {
  const reached = pictures.map((_, index) => after[index] ?? 0);
  const streams = pictures.map((picture, index) => picture.events(signal, reached[index]));
  const next = async (imageIndex: number) => ({ imageIndex, result: await streams[imageIndex]!.next() });
  const pending = new Map(streams.map((_, index) => [index, next(index)]));
  try {
    while (pending.size > 0) {
      const { imageIndex, result } = await Promise.race(pending.values());
      if (result.done) {
        pending.delete(imageIndex);
        continue;
      }
      pending.set(imageIndex, next(imageIndex));
      reached[imageIndex] = result.value.id;
      yield { imageIndex, id: reached.join("."), event: result.value.event };
    }
  } finally {
    // The signal ends the other streams. Nobody waits for their events.
    for (const promise of pending.values()) promise.catch(() => {});
    for (const stream of streams) stream.return(undefined).catch(() => {});
  }
}
