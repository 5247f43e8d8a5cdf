// Jobs of videos as GET /v1/jobs/{id} shows them: the same objects and events as /v1/videos/{id} does.
import type { JobPresenter } from "../jobs/job_presenter.ts";
import type { JobRecord } from "../jobs/job_record.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { videoMessages } from "./video_messages.ts";
import { videoId, videoObject } from "./video_object.ts";

export function videoPresenter({ jobs }: { jobs: Jobs }): JobPresenter {
  const present = async (job: JobRecord) => videoObject(job, await jobs.stateOf(job));
  return {
    result: (job) => present(job),
    isLasting: () => true,
    messages: (job, events, { onError = () => {} }) =>
      videoMessages(events, { id: videoId(job.id), object: () => present(job), onError }),
  };
}
