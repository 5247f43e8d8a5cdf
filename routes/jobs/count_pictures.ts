// Counts a request's pictures against its key's quota, by the id of the job that the request stands for:
// once, however often the client repeats the request, and only those that it was given.
import type { ChargedPictures, KeyLimits } from "../keys/key_limits.ts";
import type { KeyRecord } from "../keys/key_store.ts";
import type { PictureEvent } from "../runs/merge_pictures.ts";

export interface CountPicturesOptions {
  limits: Pick<KeyLimits, "chargePictures" | "settlePictures" | "handOver">;
  /** Undefined for a request without limits. */
  key: KeyRecord | undefined;
  /** The part that all repetitions of the request share. */
  id: string;
}

export interface Counted {
  /** The counted pictures. Null if nothing was counted. */
  quota: ChargedPictures | null;
  /** Notes that the client is about to get these pictures, by their places. */
  deliver: (places: readonly number[]) => Promise<void>;
  /**
   * Hands the counted pictures to the job's keeper, as they are made without the client. The job's end
   * settles them.
   */
  handOver: () => void;
  /**
   * Ends the request. Pictures that nobody got are no longer counted, unless another request waits for them.
   */
  end: () => Promise<void>;
}

/** Returns every picture of a request for `count`. */
export function allPlaces(count: number): number[] {
  return Array.from({ length: count }, (_, place) => place);
}

/**
 * Counts the pictures of a request against its key's quota before they are made.
 * @throws {ApiError} 429 insufficient_quota
 */
export async function countPictures(
  count: number,
  { limits, key, id }: CountPicturesOptions,
): Promise<Counted> {
  const holder = key === undefined ? "" : crypto.randomUUID();
  const quota = await limits.chargePictures(key, { id, holder, count });
  const settle = async (delivered: readonly number[], done: "no" | "holder") => {
    if (quota !== null) await limits.settlePictures({ ...quota, delivered, done });
  };
  return {
    quota,
    deliver: (places) => settle(places, "no"),
    handOver: () => void (quota !== null && limits.handOver(quota)),
    end: () => settle([], "holder"),
  };
}

/** Passes the events on. Each picture is counted before its client gets it. */
export async function* countDelivered(
  events: AsyncIterable<PictureEvent>,
  deliver: Counted["deliver"],
): AsyncGenerator<PictureEvent> {
  for await (const picture of events) {
    if (picture.event.type === "completed") await deliver([picture.imageIndex]);
    yield picture;
  }
}
