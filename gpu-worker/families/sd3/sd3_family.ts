// diffusers' StableDiffusion3Pipeline: Stable Diffusion 3, 3.5-Medium, 3.5-Large and its turbo,
// from text or from an image.
import { createSolver, planSteps } from "../../../sampler/mod.ts";
import type { MakeDenoiser } from "../../denoiser/run_denoiser.ts";
import type { CustomDenoiserOptions, Family } from "../../pipeline/family.ts";
import { pictureDecoder } from "../../pipeline/latent_decoder.ts";
import { encodeSd3Prompt } from "./encode_sd3_prompt.ts";
import { readSd3Checkpoint, type Sd3Checkpoint } from "./sd3_checkpoint.ts";
import { sd3Feeds } from "./sd3_feeds.ts";
import { countSkippingSlots, SkipLayerDenoiser } from "./skip_layer_denoiser.ts";
import { sd3OriginalNames } from "./sd3_names.ts";
import { sd3SingleFile } from "./sd3_single_file.ts";

export const sd3Family: Family<Sd3Checkpoint> = {
  read: readSd3Checkpoint,
  singleFile: sd3SingleFile,
  loras: { originalNames: sd3OriginalNames },
  encodePrompt: encodeSd3Prompt,
  solver({ steps }, { reading: { scheduler, config: { patchSize } }, size: { height, width }, noise }) {
    return createSolver(scheduler, { steps, imageSeqLen: height * width / patchSize ** 2, noise });
  },
  feeds: sd3Feeds,
  featureDims: ({ patchSize, innerDim }, { height, width }) => [
    height / patchSize,
    width / patchSize,
    innerDim,
  ],
  customDenoiser: skipLayerDenoiser,
  decoder: pictureDecoder,
};

/**
 * Creates the denoiser for skip-layer guidance: a second call per step for the
 * prompt, without some of the blocks.
 */
function skipLayerDenoiser(
  { request, branches, size, reading: { config }, runtime, owned, feeds, open }: CustomDenoiserOptions<
    Sd3Checkpoint
  >,
): MakeDenoiser | undefined {
  const { guidanceScale, skipLayerGuidance: guidance, steps, sampler } = request;
  if (guidance === undefined) return undefined;
  const whole = feeds(branches);
  const prompt = branches.slice(0, 1);
  const skipped = owned.use(
    sd3Feeds(runtime, { config, branches: prompt, size, skippedLayers: guidance.layers }),
  );
  const skippingSlots = countSkippingSlots(planSteps(steps, sampler), guidance);
  const guide = (output: Float32Array) => output;
  return (slots, timesteps) => {
    using stack = new DisposableStack();
    const denoiser = new SkipLayerDenoiser({
      branches: stack.use(open(whole, { branches: branches.length, slots, timesteps, guide })),
      skipping: stack.use(open(skipped, { branches: 1, slots: skippingSlots, timesteps, guide })),
      slots: skippingSlots,
      steps,
      guidanceScale,
      guidance,
    });
    stack.move();
    return denoiser;
  };
}
