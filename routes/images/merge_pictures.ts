// The events of several pictures as one stream, in the order in which they happen.
import type { RunEvent } from "../../protocol/run_event.ts";
import type { Picture } from "../runs/picture_source.ts";

export interface PictureEvent {
  /** 0-based place of the picture in the request. */
  imageIndex: number;
  /** How far each picture is, "7" or "12.9.0": names this place in the merged stream. */
  id: string;
  event: RunEvent;
}

/** Ends when all pictures have ended. @throws {ApiError} what the first picture to fail throws */
export async function* mergePictures(
  pictures: readonly Picture[],
  signal: AbortSignal,
): AsyncGenerator<PictureEvent> {
  const streams = pictures.map((picture) => picture.events(signal));
  const reached = pictures.map(() => 0);
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
    // Those left behind end by the signal; nobody waits for what they still say.
    for (const promise of pending.values()) promise.catch(() => {});
    for (const stream of streams) stream.return(undefined).catch(() => {});
  }
}
