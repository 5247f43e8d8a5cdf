// The runs of an image request: all or none.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { JobOpening } from "../jobs/jobs.ts";
import type { RunSource } from "../runs/run_source.ts";
import type { WantedRun } from "../runs/wanted_run.ts";
import type { RunView } from "../runs/run_view.ts";
import type { RequestCaching } from "./request_caching.ts";

export interface OpenPicturesOptions {
  source: RunSource;
  caching: RequestCaching;
  /** A viewer of runs that go on without connections. @default none */
  opening?: JobOpening | undefined;
  /**
   * Milliseconds to wait for a store that is away, for runs that other edges must find.
   * @default 0
   */
  waitMs?: number | undefined;
  /** Opaque name of the runs' owner, from ownerOf(). */
  owner: string | undefined;
}

/**
 * Opens all pictures. If one is refused, leaves the others.
 * @throws {ApiError} as workers refuse; 504 if a picture must be stored and is not
 */
export async function openPictures(
  pictures: readonly WantedRun[],
  { source, caching, opening, waitMs, owner }: OpenPicturesOptions,
): Promise<RunView[]> {
  const { maxAgeMs, onlyIfCached } = caching;
  const opened = await Promise.allSettled(
    pictures.map((wanted) =>
      onlyIfCached
        ? stored(wanted, { source, maxAgeMs })
        : source.open(wanted, { maxAgeMs, waitMs, owner, ...opening })
    ),
  );
  const open = opened.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
  const refused = opened.find((result) => result.status === "rejected");
  if (refused === undefined) return open;
  closeAll(open);
  if (opening !== undefined) {
    for (const { id } of open) if (id !== undefined) await source.leave(id, opening.detached.viewer);
  }
  throw refused.reason;
}

/** Returns the value of the header: "joined" if this request had to begin nothing. */
export function cacheOf(pictures: readonly RunView[]): RunView["cache"] {
  if (pictures.every(({ cache }) => cache === "hit")) return "hit";
  return pictures.some(({ cache }) => cache === "miss") ? "miss" : "joined";
}

export function closeAll(pictures: readonly RunView[], graceMs = 0): void {
  for (const picture of pictures) picture.close(graceMs);
}

async function stored(
  { key }: WantedRun,
  { source, maxAgeMs }: { source: RunSource; maxAgeMs: number },
): Promise<RunView> {
  const view = await source.stored(key, maxAgeMs).catch(() => undefined);
  if (view !== undefined) return view;
  throw new ApiError(504, "This picture is not in the store, and 'only-if-cached' forbids to make it", {
    code: "not_cached",
  });
}
