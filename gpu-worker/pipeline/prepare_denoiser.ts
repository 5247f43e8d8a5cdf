// Prepares the denoiser of a run. The branches of guidance are rows of one network, or separate calls.
import type { BranchFeeds } from "../denoiser/branch_feeds.ts";
import { controlResiduals, type ControlSessions, noResiduals } from "../denoiser/control_residuals.ts";
import type { DenoiserSessions, Residuals } from "../denoiser/denoiser_shape.ts";
import { guideBranches, guidedRows } from "../denoiser/guide_branches.ts";
import { OnnxDenoiser } from "../denoiser/onnx_denoiser.ts";
import type { MakeDenoiser } from "../denoiser/run_denoiser.ts";
import { SeparateBranches } from "../denoiser/separate_branches.ts";
import { StagedDenoiser } from "../denoiser/staged_denoiser.ts";
import { controlsStep } from "../request/control.ts";
import { cfgScale } from "../request/guidance_branches.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { EncodedPrompt } from "../text/encoded_prompt.ts";
import {
  type DenoiserRows,
  type Family,
  type FamilyReading,
  ONE_STAGE,
  type PreparedRun,
  type Stage,
} from "./family.ts";
import { denoisedDims } from "./run_shape.ts";

/** A family's network on the device. */
export interface LoadedDenoiser {
  family: Family;
  reading: FamilyReading;
  runtime: Runtime;
  /** One network, or two that take turns. */
  networks: readonly DenoiserSessions[];
  /** The loaded ControlNets, by name. */
  controls: Readonly<Record<string, ControlSessions>>;
  /** Compute type of the text encoders. */
  dtype: DType;
}

/**
 * Creates the inputs of the denoiser for `runs`, owned by
 * `owned`. The runs may differ only in prompts and seed.
 * @returns a function that creates the denoiser
 */
export function prepareDenoiser(
  loaded: LoadedDenoiser,
  runs: readonly PreparedRun[],
  owned: DisposableStack,
): MakeDenoiser {
  const { family, reading, runtime, networks, dtype } = loaded;
  const { config } = reading;
  const run = runs[0]!;
  const makeFeeds = (branches: readonly EncodedPrompt[]) => owned.use(feedsOf(loaded, { runs, branches }));
  const open = (feeds: BranchFeeds, { timesteps, ...rows }: DenoiserRows, network = 0) =>
    new OnnxDenoiser(runtime, networks[network]!, {
      ...rows,
      steps: timesteps.length,
      outputDims: denoisedDims({ family, reading }, run.size),
      featureDims: family.featureDims(config, run.size),
      featureType: reading.denoiserType ?? dtype,
      trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
      residuals: residualsOf(loaded, runs, { feeds: makeFeeds, steps: timesteps.length, owned }),
      modulationFeeds: () => feeds.modulation(timesteps),
    });
  const custom = family.customDenoiser?.({ ...run, reading, runtime, owned, feeds: makeFeeds, open });
  if (custom) return custom;
  const inputs = { runs, feeds: makeFeeds, open };
  return family.separateBranches ? branchByBranch(loaded, inputs) : branchesInRows(loaded, inputs);
}

/** Creates the inputs of one call, a row for each of `branches`. The rows of a run follow each other. */
function feedsOf(
  { family, reading, runtime }: LoadedDenoiser,
  { runs, branches }: { runs: readonly PreparedRun[]; branches: readonly EncodedPrompt[] },
): ReturnType<Family["feeds"]> {
  const { request, size, condition, references = [] } = runs[0]!;
  const { guidanceScale, width, height } = request;
  const perRow = <T>(pick: (run: PreparedRun) => T): T[] =>
    branches.map((_, row) => pick(runs[Math.floor(row * runs.length / branches.length)]!));
  return family.feeds(runtime, {
    config: reading.config,
    branches,
    size,
    guidanceScale,
    width,
    height,
    ...reading.maskInputs && { masked: perRow(({ masked }) => masked!) },
    ...references.length > 0 && { references: perRow(({ references }) => references!) },
    ...condition && { conditions: perRow(({ condition }) => condition!) },
  });
}

interface DenoiserInputs {
  runs: readonly PreparedRun[];
  feeds: (branches: readonly EncodedPrompt[]) => BranchFeeds;
  open: (feeds: BranchFeeds, rows: DenoiserRows, network?: Stage["network"]) => OnnxDenoiser;
}

/** Makes the denoiser of one run whose branches are calls of their own. */
function branchByBranch(
  { family, reading: { config, rules } }: LoadedDenoiser,
  { runs, feeds, open }: DenoiserInputs,
): MakeDenoiser {
  const { request, branches } = runs[0]!;
  const scale = cfgScale(request, rules);
  const ownGuide = branches.length > 1 ? family.guide?.(request, config) : undefined;
  const each = branches.map((branch) => feeds([branch]));
  return (slots, timesteps) => {
    using stack = new DisposableStack();
    const rows = { branches: 1, slots, timesteps, guide: [1] };
    const denoisers = each.map((feeds) => stack.use(open(feeds, rows)));
    stack.move();
    const unguided = timesteps.findIndex((timestep) => family.guidesStep?.(request, timestep) === false);
    return new SeparateBranches(denoisers, {
      slots,
      guide: ownGuide ?? ((outputs) => guideBranches(outputs, scale)),
      isLinear: ownGuide === undefined,
      ...unguided !== -1 && { guidedSteps: unguided },
    });
  };
}

/** Makes the denoiser of runs whose branches are rows of one call. Networks may take turns. */
function branchesInRows(
  { family, reading }: LoadedDenoiser,
  { runs, feeds, open }: DenoiserInputs,
): MakeDenoiser {
  const { request, branches } = runs[0]!;
  const { guidanceScale2, guidanceRescale: rescale } = request;
  const scale = cfgScale(request, reading.rules);
  const ownGuide = branches.length > 1 ? family.guide?.(request, reading.config) : undefined;
  const all = feeds(runs.flatMap(({ branches }) => branches));
  const guideOf = (network: Stage["network"]) => {
    const own = network === 0 ? scale : guidanceScale2 ?? scale;
    return ownGuide ?? guidedRows(branches.length, { scale: own, rescale });
  };
  return (slots, timesteps) => {
    const rows = { pictures: runs.length, branches: branches.length, slots, timesteps };
    const stages = family.stages?.(timesteps, reading) ?? ONE_STAGE;
    const openStage = ({ network }: Stage) => open(all, { ...rows, guide: guideOf(network) }, network);
    if (stages.length === 1) return openStage(stages[0]!);
    return new StagedDenoiser(
      stages.map((stage) => ({ start: stage.start, open: () => openStage(stage) })),
    );
  };
}

/**
 * Returns what ControlNets add to the trunk of `runs`, which share everything of their control but the
 * image.
 */
function residualsOf(
  { family: { controls }, reading, runtime, controls: sessions, dtype }: LoadedDenoiser,
  runs: readonly PreparedRun[],
  { feeds, steps, owned }: {
    feeds: (branches: readonly EncodedPrompt[]) => BranchFeeds;
    steps: number;
    owned: DisposableStack;
  },
): Residuals | undefined {
  const { controlNets = [], denoiserType = dtype } = reading;
  if (controls === undefined || controlNets.length === 0) return undefined;
  const names = [...new Set(controlNets.flatMap(({ residuals }) => Object.keys(residuals)))];
  const none = noResiduals(runtime, { names, rank: controls.rank, dtype: denoiserType }, owned);
  const { control } = runs[0]!;
  if (control === undefined || control.scale === 0) return () => none;
  // One row of residuals broadcasts to all branches of a single picture.
  const isOne = runs.length === 1;
  const perBranch = <T>(pick: (run: PreparedRun) => T): T[] =>
    runs.flatMap((run) => isOne ? [pick(run)] : run.branches.map(() => pick(run)));
  const ofPrompt = controls.promptOnly && runs[0]!.branches.length > 1
    ? feeds(perBranch(({ branches }) => branches[0]!))
    : undefined;
  const callRows = ofPrompt ? perBranch(() => 0).length : runs.flatMap(({ branches }) => branches).length;
  return controlResiduals(runtime, {
    sessions: sessions[control.name]!,
    residuals: controlNets.find(({ name }) => name === control.name)!.residuals,
    none,
    hint: { dims: control.hint.dims, rows: perBranch((run) => run.control!.hint.data) },
    scale: control.scale,
    modes: control.mode === undefined ? undefined : new Array<number>(callRows).fill(control.mode),
    runsAt: (step) => controlsStep(control, { step, steps }),
    feedsOf: ofPrompt && ((latents, timestep) => ofPrompt.trunk(latents, timestep)),
  }, owned);
}
