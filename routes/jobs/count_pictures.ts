// Counts a request's pictures against its key's quota, by the id of the job that the request stands for: once, however often
// the client repeats the request, and only those that it was given.
import type { ChargedPictures, KeyLimits } from "../keys/key_limits.ts";
import type { KeyRecord } from "../keys/key_store.ts";
import type { PictureEvent } from "../runs/merge_pictures.ts";
import { JOB_MS } from "./job_record.ts";

export interface CountPicturesOptions {
  limits: Pick<KeyLimits, "chargePictures" | "settlePictures">;
  /** undefined: no limits. */
  key: KeyRecord | undefined;
  /** The part that all repetitions of the request share. */
  id: string;
  /** The pictures are made without the client: a job's end settles them. */
  detached: boolean;
}

export interface Counted {
  /** The counted pictures. Null if nothing was counted. */
  quota: ChargedPictures | null;
  /** The client is about to get these pictures, by their places. */
  deliver: (places: readonly number[]) => Promise<void>;
  /** The request has ended: what nobody was given is no longer counted, unless another request waits for it. */
  end: () => Promise<void>;
}

/** Every picture of a request for `count`. */
export function allPlaces(count: number): number[] {
  return Array.from({ length: count }, (_, place) => place);
}

/** @throws {ApiError} 429 insufficient_quota */
export async function countPictures(
  count: number,
  { limits, key, id, detached }: CountPicturesOptions,
): Promise<Counted> {
  const holder = crypto.randomUUID();
  // Longer than a job may take.
  const leaseMs = detached ? 2 * JOB_MS : undefined;
  const quota = await limits.chargePictures(key, { id, holder, count, ...leaseMs && { leaseMs } });
  const settle = async (delivered: readonly number[], done: "no" | "holder") => {
    if (quota !== null) await limits.settlePictures({ ...quota, delivered, done });
  };
  return { quota, deliver: (places) => settle(places, "no"), end: () => settle([], "holder") };
}

/** The same events; each picture is counted before its client gets it. */
export async function* countDelivered(
  events: AsyncIterable<PictureEvent>,
  deliver: Counted["deliver"],
): AsyncGenerator<PictureEvent> {
  for await (const picture of events) {
    if (picture.event.type === "completed") await deliver([picture.imageIndex]);
    yield picture;
  }
}
