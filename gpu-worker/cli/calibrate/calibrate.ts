// `deno task calibrate`: records a checkpoint's features, finds step plans for method
// calibrated, and stores both.
import { UsageError } from "../../../protocol/process/usage_error.ts";
import {
  coordinateOf,
  coordinatesOf,
  type MeasuredPlan,
  type MeasuredPlans,
  type Solver,
} from "../../../sampler/mod.ts";
import { formatCalibration, parseCalibration } from "../../checkpoint/calibration_file.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { calibrationPath } from "../../checkpoint/find_calibration.ts";
import { modelDigest } from "../../checkpoint/model_digest.ts";
import { describeModel } from "../../model/describe_model.ts";
import { openPipeline } from "../../model/open_pipeline.ts";
import { phasesOf, solverOf } from "../../pipeline/family.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { whyUnfit } from "../../pipeline/run_forecaster.ts";
import { completeRequest } from "../../request/complete_request.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import { cfgScale } from "../../request/guidance_branches.ts";
import type { ModelCalibration, StoredCalibration } from "../../request/model_calibration.ts";
import { GRAPH_CACHE_FOLDER } from "../../session/graph_cache_folder.ts";
import { readPromptFile } from "../read_prompts.ts";
import { assertWritable, writeAtomically } from "../write_atomically.ts";
import { CALIBRATE_HELP, type CalibrateArguments, parseCalibrateArguments } from "./calibrate_arguments.ts";
import { CalibrationBar } from "./calibration_bar.ts";
import { meanProducts, RunFeatures, type RunProducts } from "./feature_products.ts";
import { PlanCosts } from "./plan_costs.ts";
import { type PromptSets, promptsOfFile, promptsOfNames } from "./prompt_sets.ts";
import { storedRivals } from "./rival_plans.ts";
import { searchPlans } from "./search_plans.ts";
import { TrialLog } from "./trial_log.ts";
import { meanOf, Trials, type TrialSet } from "./trials.ts";

/** Shares of the guided output to choose from. */
const GUIDED_SHARES = [0, 0.3, 0.6, 1];
/** Full passes of 50 steps at which they are compared. */
const SHARE_PASSES = [8, 12];
/** Shares of earlier errors to take back. The share of the guided output is chosen with the first one. */
const FEEDBACKS = [1, 0.5, 0] as const;
/** Seeds of the sets do not meet. */
const SEED_OFFSETS = { search: 10_000, validate: 20_000, objective: 30_000 };

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
  const { checkpoint, reading } = described;
  if (checkpoint.loras.length > 0) {
    throw new UsageError("--lora must be left out, as a calibration belongs to the weights without LoRAs");
  }
  const { given, steps, prompts } = plan(options, reading, checkpoint.path("names.txt"));
  assertFit(described, {
    request: completeRequest({ ...given, prompt: " ", steps: steps[0] }, reading),
    warn,
  });
  const path = options.out ?? calibrationPath(checkpoint);
  await assertWritable(path);
  const digest = modelDigest(checkpoint);
  using log = new TrialLog(`${path}.part`, { digest, given, prompts, recorded: steps[0] });

  using pipeline = await openPipeline(model, {
    ...device,
    parts,
    ...memory,
    ...threads !== undefined && { intraOpThreads: threads },
    graphCache: GRAPH_CACHE_FOLDER,
    warn: () => {},
  });
  using bar = new CalibrationBar(passesToCome(options, { steps, prompts }), onPart);
  const request = completeRequest(
    { ...given, prompt: " ", steps: steps[0], sampler: { method: "none" } },
    reading,
  );
  const recorded = await record(pipeline, {
    given,
    prompts: prompts.record,
    steps: steps[0]!,
    log,
    bar,
    signal,
  });
  const source = {
    model,
    modelDigest: digest,
    scheduler: String(checkpoint.scheduler()["_class_name"]),
    steps: steps[0]!,
    prompts: prompts.record.length,
    guidance: Math.max(1, cfgScale(request, reading.rules)),
    width: request.width,
    height: request.height,
    numFrames: request.numFrames,
  };
  let calibration: ModelCalibration = {
    ...recorded,
    guidedShare: 0,
    feedback: FEEDBACKS[0],
    plans: {},
    source,
    path,
    digest: "",
  };
  const trials = new Trials({ pipeline, given, log, bar, signal, alone: memory.offload === true });
  const setOf = (name: keyof typeof SEED_OFFSETS, steps: number): TrialSet => ({
    name,
    prompts: prompts[name],
    seedOffset: SEED_OFFSETS[name],
    steps,
  });
  calibration = {
    ...calibration,
    ...await chooseObjective(trials, { calibration, set: setOf("objective", steps[0]!), bar }),
  };
  const previous = previousPlans(path, digest);
  for (const count of steps) {
    const plans = await findPlans(trials, { calibration, previous, steps: count, setOf, options, bar });
    calibration = { ...calibration, plans: { ...calibration.plans, [count]: plans } };
    trials.forget(count);
  }
  bar[Symbol.dispose]();
  const text = formatCalibration(calibration);
  // A text that cannot be read is a fault of ours, which shows before anything is written.
  parseCalibration(text, path);
  await writeAtomically(path, new TextEncoder().encode(text));
  log.remove();
  report(calibration);
}

type Given = CalibrateArguments["request"];

/** Checks everything that can be checked before gigabytes are loaded. */
function plan(
  { request: given, steps: asked, counts, passes, promptFile }: CalibrateArguments,
  reading: Pipeline["description"],
  namesPath: string,
): { given: Given; steps: readonly number[]; prompts: PromptSets } {
  const { steps: own } = completeRequest({ ...given, prompt: " ", sampler: { method: "none" } }, reading);
  const steps = asked ?? [own];
  if (passes.most >= steps.at(-1)!) {
    throw new UsageError(
      `--passes must be below ${steps.at(-1)}, the least of --steps: current value is ${passes.most}`,
    );
  }
  if (promptFile !== undefined) {
    const { record, search, validate } = counts;
    const lines = readPromptFile(promptFile, record + search + validate).map(({ prompt }) => prompt);
    return { given, steps, prompts: promptsOfFile(lines, counts) };
  }
  const prompts = promptsOfNames(readNames(namesPath), counts);
  return { given, steps, prompts };
}

/** Refuses what no run could use, and warns of solvers that add noise. */
function assertFit(
  { family, reading, checkpoint }: ReturnType<typeof describeModel>,
  { request, warn }: { request: GenerateRequest; warn: (message: string) => void },
): void {
  const model = { family, reading };
  if (solverOf(model, request).addsNoise) {
    warn(
      "This solver adds noise at each step, which no forecast knows. Look at the PSNR that the plans reach.",
    );
  }
  const reason = whyUnfit({ phases: phasesOf(model, request) });
  if (reason === undefined) return;
  throw new UsageError(
    `--model must be one that a calibration can serve, but ${checkpoint.folder} is not: ${reason}`,
  );
}

function readNames(path: string): string[] {
  try {
    return Deno.readTextFileSync(path).split("\n").filter((name) => name !== "");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError("--prompt-file is missing, and the checkpoint lists no names");
  }
}

/** Returns an upper bound of the full passes that a calibration makes. */
function passesToCome(
  { passes: { least, most }, trials }: CalibrateArguments,
  { steps, prompts }: { steps: readonly number[]; prompts: PromptSets },
): number {
  const { record, search, validate } = prompts;
  const numbers = Array.from({ length: most - least + 1 }, (_, i) => least + i);
  // Most trials are given up after a few prompts.
  const each = numbers.reduce(
    (sum, passes) => sum + passes * (trials * search.length / 2 + validate.length),
    0,
  );
  const references = steps.reduce((sum, count) => sum + count * (search.length + validate.length + 16), 0);
  return record.length * steps[0]! + references + steps.length * each;
}

/** Records the features of every step, or takes them from the log. */
async function record(
  pipeline: Pipeline,
  { given, prompts, steps, log, bar, signal }: {
    given: Given;
    prompts: readonly string[];
    steps: number;
    log: TrialLog;
    bar: CalibrationBar;
    signal: AbortSignal;
  },
): Promise<Pick<StoredCalibration, "coordinate" | "grid" | "norms" | "products">> {
  bar.begin(`recording ${prompts.length} prompts`, prompts.length * steps);
  const runs: RunProducts[] = [];
  let solver: Pick<Solver, "timesteps" | "sigmas"> | undefined;
  const known = log.get<{ timesteps: number[]; sigmas: number[] }>("solver");
  if (known) {
    solver = { timesteps: Float64Array.from(known.timesteps), sigmas: Float64Array.from(known.sigmas) };
  }
  for (const [i, prompt] of prompts.entries()) {
    const key = `record ${i}`;
    const logged = log.get<Record<string, number[]>>(key);
    if (logged && solver) {
      bar.pass(steps);
      runs.push(
        Object.fromEntries(
          Object.entries(logged).map(([name, values]) => [name, Float64Array.from(values)]),
        ) as unknown as RunProducts,
      );
      continue;
    }
    const seed = given.seed + i;
    const request = completeRequest(
      { ...given, prompt, seed, steps, sampler: { method: "none" } },
      pipeline.description,
    );
    const features = new RunFeatures(seed);
    await pipeline.generate(request, {
      signal,
      onStep: () => bar.pass(),
      onFeature: (feature) => {
        solver = { timesteps: feature.solver.timesteps.slice(), sigmas: feature.solver.sigmas.slice() };
        features.add(feature);
      },
    });
    const products = features.products();
    if (i === 0) {
      log.add("solver", { timesteps: [...solver!.timesteps], sigmas: [...solver!.sigmas] });
    }
    log.add(key, Object.fromEntries(Object.entries(products).map(([name, values]) => [name, [...values]])));
    runs.push(products);
  }
  return onGrid(meanProducts(runs), solver!);
}

/** Keeps one recorded step for each coordinate: PNDM calls the network twice at one. */
function onGrid(
  { norms, ...products }: RunProducts,
  solver: Pick<Solver, "timesteps" | "sigmas">,
): Pick<StoredCalibration, "coordinate" | "grid" | "norms" | "products"> {
  const coordinate = coordinateOf(solver);
  const coordinates = coordinatesOf(solver, coordinate);
  const kept = [...coordinates.keys()].filter((i) => i === 0 || coordinates[i]! < coordinates[i - 1]!);
  const steps = coordinates.length;
  const matrix = (values: Float64Array) =>
    Float64Array.from(kept.flatMap((row) => kept.map((column) => values[row * steps + column]!)));
  return {
    coordinate,
    grid: Float64Array.from(kept, (i) => coordinates[i]!),
    norms: Float64Array.from(kept, (i) => norms[i]!),
    products: {
      conditional: matrix(products.conditional),
      ...products.unconditional && { unconditional: matrix(products.unconditional) },
      ...products.cross && { cross: matrix(products.cross) },
    },
  };
}

type Objective = Pick<StoredCalibration, "guidedShare" | "feedback">;

/** Chooses the error that the weights minimise by the pictures that they give. */
async function chooseObjective(
  trials: Trials,
  { calibration, set, bar }: { calibration: ModelCalibration; set: TrialSet; bar: CalibrationBar },
): Promise<Objective> {
  const shares = calibration.products.unconditional === undefined ? [0] : GUIDED_SHARES;
  const numbers = SHARE_PASSES.map((passes) => Math.max(2, Math.round(passes * set.steps / 50)));
  const candidates = shares.length + FEEDBACKS.length;
  bar.begin("choosing the error to minimise", candidates * 40 * set.prompts.length);
  const sigmas = await trials.sigmas(set);
  // All candidates are tried at the plans that the least and the largest share predict to be best.
  const plans = new Map(
    [shares[0]!, shares.at(-1)!].flatMap((guidedShare) => {
      const costs = PlanCosts.byDistance({ ...calibration, guidedShare }, sigmas);
      const best = costs.best(Math.max(...numbers));
      return numbers.map((passes) => [best[passes - 1]!.join(), best[passes - 1]!]);
    }),
  );
  const bestOf = async (objectives: readonly Objective[]): Promise<Objective> => {
    let chosen = { objective: objectives[0]!, psnr: -Infinity };
    for (const objective of objectives) {
      const psnrs: number[] = [];
      for (const plan of plans.values()) {
        psnrs.push(...await trials.psnrs(plan, { set, calibration: { ...calibration, ...objective } }));
      }
      const psnr = meanOf(psnrs);
      if (psnr > chosen.psnr) chosen = { objective, psnr };
    }
    return chosen.objective;
  };
  const { guidedShare } = await bestOf(
    shares.map((guidedShare) => ({ guidedShare, feedback: FEEDBACKS[0] })),
  );
  return await bestOf(FEEDBACKS.map((feedback) => ({ guidedShare, feedback })));
}

/** Searches the plans for one number of steps and measures them on prompts that the search has not seen. */
async function findPlans(
  trials: Trials,
  { calibration, previous, steps, setOf, options: { passes, trials: limit }, bar }: {
    calibration: ModelCalibration;
    previous: MeasuredPlans;
    steps: number;
    setOf: (name: keyof typeof SEED_OFFSETS, steps: number) => TrialSet;
    options: CalibrateArguments;
    bar: CalibrationBar;
  },
): Promise<Record<number, MeasuredPlan>> {
  const set = setOf("search", steps);
  bar.begin(`${steps} steps: how errors reach the picture`, steps * (set.prompts.length + 16));
  const byDistance = PlanCosts.byDistance(calibration, await trials.sigmas(set));
  const bySensitivity = await byDistance.withSensitivity(trials, { set, calibration });
  const hints = new Map<number, (readonly number[])[]>();
  for (let count = passes.least; count <= passes.most; count++) {
    const known = [previous, calibration.plans]
      .flatMap((plans) => storedRivals(plans, { passes: count, steps }));
    hints.set(count, known.map(([, plan]) => plan));
  }
  const found = await searchPlans({
    trials,
    set,
    calibration,
    costs: [bySensitivity, byDistance],
    passes,
    limit,
    hints,
    onPasses: (count) =>
      bar.begin(`${steps} steps: plans of ${count} passes`, count * limit * set.prompts.length),
  });
  const validation = setOf("validate", steps);
  bar.begin(`${steps} steps: measuring the plans`, validation.prompts.length * (steps + 10 * found.size));
  const plans: Record<number, MeasuredPlan> = {};
  for (const [count, fullSteps] of found) {
    const psnrs = await trials.psnrs(fullSteps, { set: validation, calibration });
    plans[count] = { fullSteps, psnr: Number(meanOf(psnrs).toFixed(2)) };
  }
  return plans;
}

/** Returns the plans of the file that the new one will replace, if it is of this checkpoint. */
function previousPlans(path: string, digest: string): MeasuredPlans {
  try {
    const { source, plans } = parseCalibration(Deno.readTextFileSync(path), path);
    return source.modelDigest === digest ? plans : {};
  } catch (error) {
    if (error instanceof CheckpointError || error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
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
