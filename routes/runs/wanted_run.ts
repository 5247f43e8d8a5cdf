// A result that a client wants, and the order that a run for it is made from.
import type { OpenRun } from "../../protocol/store/run_log/run_log.ts";
import type { OpenRunRequest } from "../../protocol/wire/run_request.ts";
import { joinFiles } from "./order_images.ts";
import type { RunOrder } from "./run_dispatcher.ts";

/** A result that a client wants. */
export interface WantedRun {
  /** Name under which equal requests share a run. Undefined if nobody else can want this result. */
  name: string | undefined;
  /** Key of the result in the store. Undefined if the result is not stored. */
  key: string | undefined;
  run: OpenRunRequest;
  /** Names the files of the run: SHA-256, hex. @default it has none */
  imageName?: string | undefined;
  /** Digest of the weights. A result of other weights, as after a deployment, is not stored. */
  modelDigest: string;
}

export interface OpenOptions {
  /** Largest age of a stored result in milliseconds. With 0 no stored result will do. @default any age */
  maxAgeMs?: number;
  /**
   * Milliseconds to wait for a store that is away, for a client that may continue at any edge: that edge must
   * find the run. An edge that knows of others does not begin the run without the store.
   * @default nobody else needs to find it
   */
  waitMs?: number | undefined;
  /** Opaque name of the run's owner. Workers share their queues among owners. @default no owner */
  owner?: string | undefined;
  /** A viewer that stays when the caller has left, so that the run goes on. @default none */
  detached?: { viewer: string; viewerMs: number };
  /** Milliseconds for which the events can be read after the end. @default 60000 */
  keepMs?: number;
}

/** Requests that carry larger images, in base64, are not kept for others to make anew. */
const MAX_IMAGE_CHARACTERS = 6_000_000;

/**
 * Returns the order of a run, and the part of it that the run log keeps for an edge that makes the run again:
 * the order as JSON without its files, and the files. The request is "" if they are too large to be kept.
 */
export function orderOf(
  { run: asked, key, modelDigest, imageName }: WantedRun,
  { owner, detached }: Pick<OpenOptions, "owner" | "detached">,
): { order: RunOrder; kept: Pick<OpenRun, "request" | "image"> } {
  const run = { ...asked, ...owner !== undefined && { owner }, ...detached && { background: true } };
  const order = { run, key: key ?? null, modelDigest };
  const { image: base64, mask, references, control_image, last_frame, ...rest } = run;
  const files = joinFiles({ image: base64, mask, references, control_image, last_frame });
  const image = files && imageName ? { name: imageName, base64: files } : undefined;
  const isKept = !files || image !== undefined && files.length <= MAX_IMAGE_CHARACTERS;
  if (!isKept) return { order, kept: { request: "" } };
  return { order, kept: { request: JSON.stringify({ ...order, run: rest }), image } };
}
