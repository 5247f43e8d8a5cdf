// Counts a request's pictures against its key's quota: once, however often its client repeats the request.
import type { JobRecord } from "./job_record.ts";
import { type KeyLimits, monthCounter } from "../keys/key_limits.ts";
import type { KeyRecord } from "../keys/key_store.ts";
import type { Recognized } from "./repetitions.ts";

export interface CountPicturesOptions {
  limits: Pick<KeyLimits, "takePictures">;
  /** undefined: no limits. */
  key: KeyRecord | undefined;
  repetition: Pick<Recognized, "counted" | "noteCounted">;
}

export interface Counted {
  /** For a request that gets none; a repetition of it is counted anew. */
  giveBack: () => void;
  /** What was counted now, for jobs, which outlive their request; null: nothing. */
  quota: JobRecord["quota"];
}

/**
 * A repetition goes free only once the first request has been counted: one that was refused must not open the door.
 * @throws {ApiError} 429 insufficient_quota
 */
export async function countPictures(
  count: number,
  { limits, key, repetition }: CountPicturesOptions,
): Promise<Counted> {
  if (key === undefined || key.pictures_per_month === null || repetition.counted) {
    return { giveBack() {}, quota: null };
  }
  const giveBack = await limits.takePictures(key, count);
  await repetition.noteCounted(true);
  return {
    giveBack() {
      giveBack();
      repetition.noteCounted(false).catch(() => {});
    },
    quota: { counter: monthCounter(key.id, new Date()), count },
  };
}
