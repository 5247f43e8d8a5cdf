// Times full passes and forecasts of a checkpoint on the CPU, in processor time: other work beside the bench
// changes it little.
import process from "node:process";
import { DTYPE_BYTES } from "../../../gpu-worker/runtime/dtype.ts";
import { meanOf } from "../../../gpu-worker/cli/mean_of.ts";
import { median } from "../../../gpu-worker/cli/bench/statistics.ts";
import { encodeImage } from "../../../gpu-worker/media/encode_image.ts";
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { featureElements, phasesOf } from "../../../gpu-worker/pipeline/run_shape.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import type { ModelDescription } from "../../../gpu-worker/request/model_description.ts";
import { planSteps, type StepKind } from "../../../sampler/mod.ts";

/** Times are in milliseconds of all cores. */
export interface StepTiming {
  /** Of a published run. */
  steps: number;
  passes: number;
  /** One full pass. */
  full: number;
  /** One forecast of a published run, at most. */
  forecast: number;
  /** Size of one full pass's feature, over all branches. */
  featureMib: number;
}

const SIDE = 256;
const FRAMES = 5;
/** Full passes at 0, 1, 2 and 5: two gaps of two forecasts, the second from a history of four features. */
const SHORT = {
  steps: 8,
  sampler: { method: "spectrum", warmupSteps: 3, windowSize: 3, flexWindow: 0 },
} as const;

/**
 * Times a short run. A forecast's time is scaled to a published run, whose history has more features: it
 * reads them all. This takes the head, which reads one, for too dear.
 */
export async function timeSteps(folder: string, signal: AbortSignal): Promise<StepTiming> {
  const described = describeModel(folder);
  const published = completeRequest(await ask(described.reading), described.reading);
  const { steps } = published;
  const plan = planSteps(steps, { ...published.sampler, phases: phasesOf(described, published) });
  const passes = countPasses(plan);
  using pipeline = await openPipeline(folder);
  const times = await run(pipeline, SHORT, signal);
  const kinds = times.map(({ kind }) => kind);
  const full = times.filter(({ kind }) => kind === "full").map(({ ms }) => ms);
  // The first gap's forecasts touch their memory for the first time.
  const later = times.slice(kinds.indexOf("full", kinds.indexOf("forecast")));
  const forecast = meanOf(later.filter(({ kind }) => kind === "forecast").map(({ ms }) => ms));
  return {
    steps,
    passes,
    full: median(full.slice(1)),
    forecast: forecast * passes / countPasses(kinds),
    featureMib: featureElements(described, published) * DTYPE_BYTES[described.dtype] / 2 ** 20,
  };
}

/** Returns the milliseconds of a full pass without forecasts. The first one is left out. */
export async function fullPass(folder: string, signal: AbortSignal): Promise<number> {
  using pipeline = await openPipeline(folder);
  const times = await run(pipeline, { steps: 2, sampler: { method: "none" } }, signal);
  return Math.min(...times.slice(1).map(({ ms }) => ms));
}

function countPasses(plan: readonly StepKind[]): number {
  return plan.filter((kind) => kind === "full").length;
}

async function run(
  pipeline: Pipeline,
  settings: Pick<PartialRequest, "steps" | "sampler">,
  signal: AbortSignal,
): Promise<{ kind: StepKind; ms: number }[]> {
  const times: { kind: StepKind; ms: number }[] = [];
  let last = 0;
  const now = () => Object.values(process.cpuUsage()).reduce((sum, part) => sum + part / 1000, 0);
  const request = completeRequest({ ...await ask(pipeline.description), ...settings }, pipeline.description);
  await pipeline.generate(request, {
    signal,
    onStep: ({ kind }) => {
      const at = now();
      times.push({ kind, ms: at - last });
      last = at;
    },
  });
  return times;
}

/** Returns a request, with a first frame where the model needs one. */
async function ask({ rules }: ModelDescription): Promise<PartialRequest> {
  const image: DecodedImage = { width: SIDE, height: SIDE, data: new Float32Array(3 * SIDE ** 2) };
  const bytes = await encodeImage(image);
  return {
    prompt: "a lighthouse at dusk, waves, an old boat on the shore",
    seed: 42,
    width: SIDE,
    height: SIDE,
    ...rules.video && { numFrames: FRAMES },
    ...rules.video?.frames?.first === "required" && {
      firstFrame: { width: SIDE, height: SIDE, file: { bytes, sha256: "0".repeat(64) } },
    },
  };
}
