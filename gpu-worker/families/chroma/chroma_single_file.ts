// Chroma in single files: FLUX's names with an approximator in place of the blocks' modulations.
import type { Architecture } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { autoencoderKLPart } from "../../checkpoint/single_file/parts/autoencoder_kl_part.ts";
import { t5Part } from "../../checkpoint/single_file/parts/t5_part.ts";
import { fluxBlockSizes } from "../../checkpoint/single_file/flux_block_sizes.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { APPROXIMATOR, CHROMA_NAMES } from "./chroma_names.ts";

const ORIGINAL: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) =>
    tensors.has(`${APPROXIMATOR}.in_proj.bias`) && tensors.has("double_blocks.0.img_attn.proj.bias"),
  place: () => findInTable(CHROMA_NAMES),
};

export const chromaSingleFile: Architecture = {
  pipelineClass: "ChromaPipeline",
  denoiser: {
    component: "transformer",
    className: "ChromaTransformer2DModel",
    layouts: [
      ORIGINAL,
      ownNames({
        prefixes: DENOISER_PREFIXES,
        markers: ["x_embedder.weight", `${APPROXIMATOR}.in_proj.weight`],
      }),
    ],
    sizes(weights: Weights) {
      return {
        ...fluxBlockSizes(weights),
        approximator_num_channels: sizeOf(weights, `${APPROXIMATOR}.in_proj.weight`, 1),
        approximator_hidden_dim: sizeOf(weights, `${APPROXIMATOR}.in_proj.weight`, 0),
        approximator_layers: countOf(weights, `${APPROXIMATOR}.layers.`),
      };
    },
  },
  parts: [
    autoencoderKLPart,
    t5Part({
      component: "text_encoder",
      className: "T5EncoderModel",
      prefixes: ["text_encoders.t5xxl.transformer."],
    }),
  ],
  tokenizers: { tokenizer: "T5TokenizerFast" },
  variant: () => ({
    title: "Chroma1",
    repositories: ["lodestones/Chroma1-HD", "lodestones/Chroma1-Base"],
    scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", num_train_timesteps: 1000, shift: 1 },
  }),
};
