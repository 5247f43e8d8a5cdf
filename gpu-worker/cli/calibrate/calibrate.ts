// `deno task calibrate`: records a checkpoint's features, finds step plans for method
// calibrated, and stores both.
import { formatCalibration, parseCalibration } from "../../checkpoint/calibration_file.ts";
import { calibrationPath } from "../../checkpoint/find_calibration.ts";
import { modelDigest } from "../../checkpoint/model_digest.ts";
import { type DescribedModel, describeModel } from "../../model/describe_model.ts";
import { openPipeline } from "../../model/open_pipeline.ts";
import { completeRequest } from "../../request/complete_request.ts";
import { cfgScale } from "../../request/guidance_branches.ts";
import type { CalibrationSource, ModelCalibration } from "../../request/model_calibration.ts";
import { GRAPH_CACHE_FOLDER } from "../../session/graph_cache_folder.ts";
import { assertWritable, writeAtomically } from "../write_atomically.ts";
import { CALIBRATE_HELP, type CalibrateArguments, parseCalibrateArguments } from "./calibrate_arguments.ts";
import { CalibrationBar } from "./calibration_bar.ts";
import { type CalibrationSettings, calibrationSettings } from "./calibration_settings.ts";
import { chooseObjective, FIRST_OBJECTIVE } from "./choose_objective.ts";
import { makePlans, previousPlans } from "./make_plans.ts";
import { SENSITIVITY_DRAWS } from "./plan_costs.ts";
import { trialSet } from "./prompt_sets.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { recordFeatures } from "./record_features.ts";
import { TrialLog } from "./trial_log.ts";
import { Trials } from "./trials.ts";

export interface CalibrateOptions {
  /**
   * Receives the name of each part of the work as it begins.
   * @default console.error, unless there is a progress bar
   */
  onPart?: (part: string) => void;
  /** Receives what the user should know of the model. @default console.error */
  warn?: (message: string) => void;
}

export async function calibrate(
  args: string[],
  signal: AbortSignal,
  { onPart = (part) => Deno.stderr.isTerminal() || console.error(part), warn = console.error }:
    CalibrateOptions = {},
): Promise<void> {
  const options = parseCalibrateArguments(args);
  if (options === undefined) return console.log(CALIBRATE_HELP);
  const { model, parts, device, memory, threads } = options;
  const described = describeModel(model, { ...device, parts });
  const settings = calibrationSettings(options, { described, warn });
  const { given, recordedSteps, prompts } = settings;
  const path = options.out ?? calibrationPath(described.checkpoint);
  await assertWritable(path);
  const digest = modelDigest(described.checkpoint);
  using log = new TrialLog(`${path}.part`, { digest, given, prompts, recorded: recordedSteps });
  using pipeline = await openPipeline(model, {
    ...device,
    parts,
    ...memory,
    ...threads !== undefined && { intraOpThreads: threads },
    graphCache: GRAPH_CACHE_FOLDER,
    warn: () => {},
  });
  using bar = new CalibrationBar(passesToCome(options, settings), onPart);
  const source = { model, modelDigest: digest, ...sourceOf(described, settings) };
  const calibration = await measure(pipeline, { options, settings, source, path, log, bar, signal });
  // The bar ends before lines are printed below it.
  bar[Symbol.dispose]();
  await store(calibration);
  log.remove();
  report(calibration);
}

interface MeasureOptions {
  options: CalibrateArguments;
  settings: CalibrationSettings;
  source: CalibrationSource;
  /** The calibration's file. */
  path: string;
  log: TrialLog;
  bar: CalibrationBar;
  signal: AbortSignal;
}

/** Records features, then finds the objective and the plans of each number of steps by pictures. */
async function measure(
  pipeline: Pipeline,
  { options, settings, source, path, log, bar, signal }: MeasureOptions,
): Promise<ModelCalibration> {
  const { given, steps, recordedSteps, prompts } = settings;
  const recorded = await recordFeatures(pipeline, {
    given,
    prompts: prompts.record,
    steps: recordedSteps,
    log,
    bar,
    signal,
  });
  let calibration: ModelCalibration = {
    ...recorded,
    ...FIRST_OBJECTIVE,
    plans: {},
    source,
    path,
    digest: "",
  };
  const trials = new Trials({ pipeline, given, log, bar, signal, alone: options.memory.offload === true });
  const set = trialSet("objective", { prompts, steps: recordedSteps });
  calibration = { ...calibration, ...await chooseObjective(trials, { calibration, set, bar }) };
  const previous = previousPlans(path, source.modelDigest);
  for (const count of steps) {
    const plans = await makePlans(trials, {
      calibration,
      previous,
      steps: count,
      prompts,
      passes: options.passes,
      limit: options.trials,
      bar,
    });
    calibration = { ...calibration, plans: { ...calibration.plans, [count]: plans } };
    trials.forget(count);
  }
  return calibration;
}

/** Describes the runs whose features are recorded. */
function sourceOf(
  { checkpoint, reading }: DescribedModel,
  { given, recordedSteps: steps, prompts }: CalibrationSettings,
): Omit<CalibrationSource, "model" | "modelDigest"> {
  const request = completeRequest({ ...given, prompt: " ", steps, sampler: { method: "none" } }, reading);
  return {
    scheduler: String(checkpoint.scheduler()["_class_name"]),
    steps,
    prompts: prompts.record.length,
    guidance: Math.max(1, cfgScale(request, reading.rules)),
    width: request.width,
    height: request.height,
    numFrames: request.numFrames,
  };
}

/** Returns an upper bound of the full passes that a calibration makes. */
function passesToCome(
  { passes: { least, most }, trials }: CalibrateArguments,
  { steps, recordedSteps, prompts }: CalibrationSettings,
): number {
  const { record, search, validate } = prompts;
  const numbers = Array.from({ length: most - least + 1 }, (_, i) => least + i);
  // Most trials are given up after a few prompts.
  const each = numbers.reduce(
    (sum, passes) => sum + passes * (trials * search.length / 2 + validate.length),
    0,
  );
  const references = steps.reduce(
    (sum, count) => sum + count * (search.length + validate.length + SENSITIVITY_DRAWS),
    0,
  );
  return record.length * recordedSteps + references + steps.length * each;
}

async function store(calibration: ModelCalibration): Promise<void> {
  const { path } = calibration;
  const text = formatCalibration(calibration);
  // A text that cannot be read is a fault of ours, which shows before anything is written.
  parseCalibration(text, path);
  await writeAtomically(path, new TextEncoder().encode(text));
}

function report({ path, plans, guidedShare, feedback, source }: ModelCalibration): void {
  console.log(path);
  console.log(
    `${source.prompts} prompts recorded in ${source.steps} steps, ` +
      `guided share ${guidedShare}, feedback ${feedback}`,
  );
  for (const [steps, byPasses] of Object.entries(plans)) {
    for (const [passes, { psnr, fullSteps }] of Object.entries(byPasses)) {
      console.log(`${passes} of ${steps}: ${psnr.toFixed(1)} dB at ${fullSteps.join(", ")}`);
    }
  }
}
