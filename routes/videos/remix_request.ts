// POST /v1/videos/{id}/remix: the source's request with another prompt. No pixel of the source is read: its
// model, size, length, seed and settings make the new video resemble it.
import { z } from "zod";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { generationFields, webhookField } from "../../protocol/wire/generation_fields.ts";
import { optional } from "../../protocol/wire/optional.ts";
import type { JobRecord, JobStatus } from "../jobs/job_record.ts";
import type { VideoRequest } from "../requests/video_request.ts";
import type { VideoFacts } from "./video_object.ts";

export const remixRequestSchema = z.strictObject({
  prompt: generationFields.prompt,
  /** Address that is called when the video is finished or has failed. */
  webhook: webhookField,
  user: optional(z.string().max(1024)),
});

/** Returns the part of a request that remixes repeat. Frames are not kept, nor requests that have one. */
export function keptRequest(
  { prompt: _prompt, image, last_frame: _last, webhook: _webhook, user: _user, ...rest }: VideoRequest,
): Pick<VideoFacts, "request"> {
  return image === undefined ? { request: rest } : {};
}

/**
 * Returns the request of a remix: the source's with another prompt.
 * @throws {ApiError} 400 for a source that is not finished, or whose first frame is gone
 */
export function remixRequest(
  { facts }: Pick<JobRecord, "facts">,
  { status, ...changes }: z.output<typeof remixRequestSchema> & { status: JobStatus },
): VideoRequest {
  const { request, model, size, seed } = facts as VideoFacts;
  if (status !== "completed") {
    throw new ApiError(
      400,
      `Cannot remix this video: its status must be completed, but is ${status}. Try again once it is.`,
      { code: "video_not_ready" },
    );
  }
  if (request === undefined) {
    throw new ApiError(
      400,
      "Cannot remix this video: it begins with a frame of its own, and frames are not kept. " +
        "Try POST /v1/videos with that frame as input_reference.",
      { code: "video_not_remixable" },
    );
  }
  return { ...request, model, size, seed, ...changes };
}
