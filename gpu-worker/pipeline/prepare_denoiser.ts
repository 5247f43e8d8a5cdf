// Prepares the denoiser of a run. The branches of guidance are rows of one network, or separate calls.
import type { BranchFeeds } from "../denoiser/branch_feeds.ts";
import type { DenoiserSessions } from "../denoiser/denoiser_shape.ts";
import { guideBranches, guidedRows } from "../denoiser/guide_branches.ts";
import { OnnxDenoiser } from "../denoiser/onnx_denoiser.ts";
import type { MakeDenoiser } from "../denoiser/run_denoiser.ts";
import { SeparateBranches } from "../denoiser/separate_branches.ts";
import { StagedDenoiser } from "../denoiser/staged_denoiser.ts";
import { cfgScale } from "../request/guidance_branches.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { EncodedPrompt } from "../text/encoded_prompt.ts";
import {
  denoisedDims,
  type DenoiserRows,
  type Family,
  type FamilyReading,
  ONE_STAGE,
  type PreparedRun,
  type Stage,
} from "./family.ts";

/** A family's network on the device. */
export interface LoadedDenoiser {
  family: Family;
  reading: FamilyReading;
  runtime: Runtime;
  /** One network, or two that take turns. */
  networks: readonly DenoiserSessions[];
  /** Compute type of the text encoders. */
  dtype: DType;
}

/**
 * Creates the inputs of the denoiser for `runs`, owned by
 * `owned`. The runs may differ only in prompts and seed.
 * @returns a function that creates the denoiser
 */
export function prepareDenoiser(
  { family, reading, runtime, networks, dtype }: LoadedDenoiser,
  runs: readonly PreparedRun[],
  owned: DisposableStack,
): MakeDenoiser {
  const { config } = reading;
  const run = runs[0]!;
  const { request, branches, size } = run;
  const { guidanceScale, guidanceRescale, width, height } = request;
  const feeds = (branches: readonly EncodedPrompt[]) => {
    // Each run has a row for each of its branches.
    const masked = runs.flatMap(({ masked, branches }) => branches.map(() => masked!));
    const options = { config, branches, size, guidanceScale, width, height };
    return owned.use(family.feeds(runtime, { ...options, ...reading.maskInputs && { masked } }));
  };
  const open = (feeds: BranchFeeds, { timesteps, ...rows }: DenoiserRows, network = 0) =>
    new OnnxDenoiser(runtime, networks[network]!, {
      ...rows,
      steps: timesteps.length,
      outputDims: denoisedDims({ family, reading }, size),
      featureDims: family.featureDims(config, size),
      featureType: reading.denoiserType ?? dtype,
      trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
      modulationFeeds: () => feeds.modulation(timesteps),
    });

  const custom = family.customDenoiser?.({ ...run, reading, runtime, owned, feeds, open });
  if (custom) return custom;
  const scale = cfgScale(request, reading.rules);
  const ownGuide = branches.length > 1 ? family.guide?.(request, config) : undefined;
  if (family.separateBranches) {
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
  const all = feeds(runs.flatMap(({ branches }) => branches));
  const guideOf = (network: number) => {
    const own = network === 0 ? scale : request.guidanceScale2 ?? scale;
    return ownGuide ?? guidedRows(branches.length, { scale: own, rescale: guidanceRescale });
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
