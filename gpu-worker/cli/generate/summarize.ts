// Builds the object that `generate --json` prints.
import type { GenerateResult, ModelInfo, Seconds } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import { shortRunNote } from "../../request/short_runs.ts";
import { decidingOptions } from "../../../sampler/mod.ts";

export interface SummaryInput {
  model: ModelInfo;
  requests: readonly GenerateRequest[];
  results: readonly GenerateResult[];
  /** Paths of the pictures, in order of seed. */
  outputs: readonly string[];
  loadSeconds: number;
  /** Peak host memory of the process. */
  peakMemoryBytes: number;
  /** Sentences about likely faults of the pictures. */
  warnings: readonly string[];
}

/**
 * Summarizes the pictures. All share settings and step plan;
 * errors are the first picture's, seconds are sums over all.
 */
export function summarize(
  { model, requests, results, outputs, loadSeconds, peakMemoryBytes, warnings }: SummaryInput,
) {
  const [request] = requests as [GenerateRequest];
  const [result] = results as [GenerateResult];
  const stepsOf = (kind: string) => result.plan.flatMap((k, index) => k === kind ? [index] : []);
  const fullSteps = stepsOf("full");
  const { sampler, calibration } = result;
  const note = shortRunNote({ method: sampler.method, ...request });
  const sum = (part: keyof Seconds) => results.reduce((total, { seconds }) => total + seconds[part], 0);
  return {
    model: model.id,
    modelDigest: model.digest,
    weights: model.weights,
    ...settingsOf(request, { isVideo: result.video !== undefined }),
    method: sampler.method,
    options: decidingOptions(sampler),
    fullSteps,
    fullPasses: fullSteps.length,
    forecastSteps: stepsOf("forecast"),
    ...note !== undefined && { note },
    forecastErrors: Object.fromEntries(result.forecastErrors),
    ...calibration && {
      calibration: { ...calibration, predictedErrors: Object.fromEntries(calibration.predictedErrors) },
    },
    seconds: {
      load: loadSeconds,
      encode: sum("encode"),
      denoise: sum("denoise"),
      decode: sum("decode"),
      total: loadSeconds + sum("total"),
    },
    peakMemoryBytes,
    ...warnings.length > 0 && { warnings },
    outputs,
    ...requests.length > 1 &&
      { pictures: requests.map(({ seed }, i) => pictureOf(seed, results[i]!, outputs[i]!)) },
  };
}

/** Returns the settings, which all pictures share but for the seed. */
function settingsOf(request: GenerateRequest, { isVideo }: { isVideo: boolean }) {
  const { guidanceScale2, cfgNormalization, cfgTruncation, skipLayerGuidance } = request;
  const { startImage, control, references, scheduler, promptWeights, longPrompts } = request;
  return {
    prompt: request.prompt,
    negativePrompt: request.negativePrompt,
    seed: request.seed,
    steps: request.steps,
    width: request.width,
    height: request.height,
    ...isVideo && { numFrames: request.numFrames, fps: request.fps },
    guidanceScale: request.guidanceScale,
    ...guidanceScale2 !== undefined && { guidanceScale2 },
    trueCfgScale: request.trueCfgScale,
    guidanceRescale: request.guidanceRescale,
    ...cfgNormalization !== undefined && { cfgNormalization },
    ...cfgTruncation !== undefined && { cfgTruncation },
    ...skipLayerGuidance && { skipLayerGuidance },
    ...startImage && { strength: startImage.strength },
    ...control && {
      controlNet: control.name,
      controlScale: control.scale,
      controlStart: control.start,
      controlEnd: control.end,
      ...control.mode !== undefined && { controlMode: control.mode },
    },
    ...references && { references: references.length },
    ...scheduler && { scheduler: scheduler.name, schedulerOptions: scheduler.options },
    ...promptWeights && { promptWeights },
    ...longPrompts && { longPrompts },
  };
}

/** Returns the fields that differ between pictures. */
function pictureOf(seed: number, { forecastErrors, seconds }: GenerateResult, output: string) {
  return { seed, output, forecastErrors: Object.fromEntries(forecastErrors), seconds };
}
