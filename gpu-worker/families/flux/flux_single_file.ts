// FLUX.1 in single files: the names of black-forest-labs/flux, alone or with encoders and autoencoder.
import type { Architecture } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { autoencoderKLPart } from "../../checkpoint/single_file/parts/autoencoder_kl_part.ts";
import { clipPart } from "../../checkpoint/single_file/parts/clip_part.ts";
import { t5Part } from "../../checkpoint/single_file/parts/t5_part.ts";
import { fluxBlockSizes } from "../../checkpoint/single_file/flux_block_sizes.ts";
import { sizeOf } from "../../checkpoint/single_file/shapes.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { NORM_ENDINGS } from "../../checkpoint/single_file/flux_block_names.ts";
import { FLUX_NAMES } from "./flux_names.ts";

const ORIGINAL: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) =>
    NORM_ENDINGS.some((ending) => tensors.has(`double_blocks.0.img_attn.norm.key_norm.${ending}`)) &&
    // HunyuanVideo's has one more part in its name.
    tensors.has("img_in.weight") && tensors.has("vector_in.in_layer.weight"),
  place: () => findInTable(FLUX_NAMES),
};

/** Inputs of FLUX.1 Fill: a token's latents, the masked image's, and the mask's pixels behind it. */
const FILL_CHANNELS = 384;

const SCHEDULER = {
  _class_name: "FlowMatchEulerDiscreteScheduler",
  num_train_timesteps: 1000,
  base_shift: 0.5,
  max_shift: 1.15,
  base_image_seq_len: 256,
  max_image_seq_len: 4096,
};

export const fluxSingleFile: Architecture = {
  pipelineClass: "FluxPipeline",
  siblings: { FluxKontextPipeline: "FLUX.1 Kontext [dev]", FluxFillPipeline: "FLUX.1 Fill [dev]" },
  denoiser: {
    component: "transformer",
    className: "FluxTransformer2DModel",
    layouts: [
      ORIGINAL,
      ownNames({
        prefixes: DENOISER_PREFIXES,
        markers: ["x_embedder.weight", "time_text_embed.text_embedder.linear_1.weight"],
      }),
    ],
    sizes(weights: Weights) {
      const out = sizeOf(weights, "proj_out.weight", 0);
      return {
        ...fluxBlockSizes(weights),
        ...out !== sizeOf(weights, "x_embedder.weight", 1) && { out_channels: out },
        pooled_projection_dim: sizeOf(weights, "time_text_embed.text_embedder.linear_1.weight", 1),
        guidance_embeds: weights.has("time_text_embed.guidance_embedder.linear_1.weight"),
      };
    },
  },
  parts: [
    autoencoderKLPart,
    clipPart({
      component: "text_encoder",
      className: "CLIPTextModel",
      prefixes: ["text_encoders.clip_l.transformer.", "text_encoders.clip_l."],
    }),
    t5Part({
      component: "text_encoder_2",
      className: "T5EncoderModel",
      prefixes: ["text_encoders.t5xxl.transformer.", "text_encoders.t5xxl."],
    }),
  ],
  tokenizers: { tokenizer: "CLIPTokenizer", tokenizer_2: "T5TokenizerFast" },
  variant(weights: Weights) {
    const channels = sizeOf(weights, "x_embedder.weight", 1);
    const out = sizeOf(weights, "proj_out.weight", 0);
    if (channels === FILL_CHANNELS) {
      return {
        title: "FLUX.1 Fill [dev]",
        pipelineClass: "FluxFillPipeline",
        repositories: ["black-forest-labs/FLUX.1-Fill-dev"],
        scheduler: { ...SCHEDULER, shift: 3, use_dynamic_shifting: true },
      };
    }
    if (channels !== out) {
      const { path } = weights.get("x_embedder.weight")!;
      throw new CheckpointError(
        `Cannot use ${path} as it is FLUX.1 with a control picture: its input has ${channels} channels, ` +
          `text to image has ${out}`,
      );
    }
    return weights.has("time_text_embed.guidance_embedder.linear_1.weight")
      ? {
        title: "FLUX.1 [dev]",
        repositories: ["black-forest-labs/FLUX.1-dev"],
        scheduler: { ...SCHEDULER, shift: 3, use_dynamic_shifting: true },
      }
      : {
        title: "FLUX.1 [schnell]",
        repositories: ["black-forest-labs/FLUX.1-schnell"],
        scheduler: { ...SCHEDULER, shift: 1, use_dynamic_shifting: false },
      };
  },
};
