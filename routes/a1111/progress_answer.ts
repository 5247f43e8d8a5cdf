// The answer of GET /sdapi/v1/progress.
import type { Progress } from "./generations.ts";
import { timestamp } from "./timestamp.ts";

/** Describes the progress of a generation, or that there is none. */
export function progressAnswer(progress: Progress | undefined, { withImage }: { withImage: boolean }) {
  if (progress === undefined) {
    return { progress: 0, eta_relative: 0, state: stateOf(), current_image: null, textinfo: null };
  }
  const { share, startedAt, steps, stepsDone, pictures, picturesDone, preview } = progress;
  const seconds = (Date.now() - startedAt) / 1000;
  return {
    progress: share,
    eta_relative: share === 0 ? 0 : seconds / share - seconds,
    state: stateOf({ startedAt, job_count: pictures, job_no: picturesDone, step: stepsDone, steps }),
    current_image: withImage ? preview : null,
    textinfo: null,
  };
}

function stateOf(
  running?: { startedAt: number; job_count: number; job_no: number; step: number; steps: number },
) {
  return {
    skipped: false,
    interrupted: false,
    stopping_generation: false,
    job: running ? "scripts_txt2img" : "",
    job_count: running?.job_count ?? 0,
    job_timestamp: timestamp(running?.startedAt ?? 0),
    job_no: running?.job_no ?? 0,
    sampling_step: running?.step ?? 0,
    sampling_steps: running?.steps ?? 0,
  };
}
