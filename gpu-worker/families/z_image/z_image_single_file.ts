// Z-Image in single files: the names of Tongyi-MAI/Z-Image, with fused queries, keys and values.
import type { Architecture } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { autoencoderKLPart } from "../../checkpoint/single_file/parts/autoencoder_kl_part.ts";
import { causalPart } from "../../checkpoint/single_file/parts/causal_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { PATCH, Z_IMAGE_NAMES } from "./z_image_names.ts";

const MARKERS = ["layers.0.adaLN_modulation.0.weight", "cap_embedder.0.weight"];

const ORIGINAL: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) => MARKERS.every((name) => tensors.has(name)) && tensors.has("x_embedder.weight"),
  place: () => findInTable(Z_IMAGE_NAMES),
};

export const zImageSingleFile: Architecture = {
  pipelineClass: "ZImagePipeline",
  denoiser: {
    component: "transformer",
    className: "ZImageTransformer2DModel",
    layouts: [
      ORIGINAL,
      ownNames({ prefixes: DENOISER_PREFIXES, markers: [...MARKERS, `all_x_embedder.${PATCH}.weight`] }),
    ],
    sizes(weights: Weights) {
      const dim = sizeOf(weights, `all_x_embedder.${PATCH}.weight`, 0);
      const head = weights.get("layers.0.attention.norm_q.weight")?.shape[0];
      return {
        // A token has the channels of four latent pixels.
        in_channels: sizeOf(weights, `all_x_embedder.${PATCH}.weight`, 1) / 4,
        dim,
        n_layers: countOf(weights, "layers."),
        n_refiner_layers: countOf(weights, "noise_refiner."),
        ...head && { n_heads: dim / head },
        qk_norm: head !== undefined,
        cap_feat_dim: sizeOf(weights, "cap_embedder.1.weight", 1),
      };
    },
  },
  parts: [
    autoencoderKLPart,
    causalPart({ component: "text_encoder", className: "Qwen3ForCausalLM", names: ["qwen3_4b"] }),
  ],
  tokenizers: { tokenizer: "Qwen2Tokenizer" },
  variant: () => ({
    title: "Z-Image",
    // Turbo, which most files are, and the base model have equal names and shapes.
    repositories: ["Tongyi-MAI/Z-Image-Turbo", "Tongyi-MAI/Z-Image"],
    scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", num_train_timesteps: 1000, shift: 3 },
  }),
};
