// Stable Diffusion 3 and 3.5 in single files: the names of Stability-AI/sd3.5, with or without text encoders.
import type { Architecture, Variant } from "../../checkpoint/single_file/architecture.ts";
import {
  DENOISER_PREFIXES,
  type FindPlace,
  type Layout,
  ownNames,
} from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { autoencoderKLPart } from "../../checkpoint/single_file/parts/autoencoder_kl_part.ts";
import { clipPart } from "../../checkpoint/single_file/parts/clip_part.ts";
import { t5Part } from "../../checkpoint/single_file/parts/t5_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { SD3_NAMES } from "./sd3_names.ts";

const TABLE = findInTable(SD3_NAMES);

const ORIGINAL: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) => tensors.has("joint_blocks.0.context_block.adaLN_modulation.1.bias"),
  place(tensors: Weights): FindPlace {
    // The last block's text is only normed. The original computes shift and scale, diffusers scale and shift.
    const last = `joint_blocks.${countOf(tensors, "joint_blocks.") - 1}.context_block.adaLN_modulation.1.`;
    return (name) => {
      const place = TABLE(name);
      return name.startsWith(last) && typeof place === "object" ? { ...place, order: "swapped" } : place;
    };
  },
};

export const sd3SingleFile: Architecture = {
  pipelineClass: "StableDiffusion3Pipeline",
  denoiser: {
    component: "transformer",
    className: "SD3Transformer2DModel",
    layouts: [ORIGINAL, ownNames({ prefixes: DENOISER_PREFIXES, markers: ["pos_embed.pos_embed"] })],
    sizes(weights: Weights) {
      const width = sizeOf(weights, "pos_embed.proj.weight", 0);
      const layers = countOf(weights, "transformer_blocks.");
      const head = weights.get("transformer_blocks.0.attn.norm_q.weight")?.shape[0];
      return {
        in_channels: sizeOf(weights, "pos_embed.proj.weight", 1),
        patch_size: sizeOf(weights, "pos_embed.proj.weight", 2),
        num_layers: layers,
        ...head && { attention_head_dim: head, num_attention_heads: width / head },
        caption_projection_dim: width,
        joint_attention_dim: sizeOf(weights, "context_embedder.weight", 1),
        pooled_projection_dim: sizeOf(weights, "time_text_embed.text_embedder.linear_1.weight", 1),
        pos_embed_max_size: Math.sqrt(sizeOf(weights, "pos_embed.pos_embed", 1)),
        dual_attention_layers: Array.from({ length: layers }, (_, i) => i)
          .filter((i) => weights.has(`transformer_blocks.${i}.attn2.to_q.weight`)),
        qk_norm: head === undefined ? null : "rms_norm",
      };
    },
  },
  parts: [
    autoencoderKLPart,
    clipPart({
      component: "text_encoder",
      className: "CLIPTextModelWithProjection",
      prefixes: ["text_encoders.clip_l.transformer."],
      identityProjection: true,
    }),
    clipPart({
      component: "text_encoder_2",
      className: "CLIPTextModelWithProjection",
      prefixes: ["text_encoders.clip_g.transformer."],
    }),
    t5Part({
      component: "text_encoder_3",
      className: "T5EncoderModel",
      prefixes: ["text_encoders.t5xxl.transformer."],
      optional: true,
    }),
  ],
  tokenizers: { tokenizer: "CLIPTokenizer", tokenizer_2: "CLIPTokenizer", tokenizer_3: "T5TokenizerFast" },
  variant(weights: Weights): Variant {
    const scheduler = { _class_name: "FlowMatchEulerDiscreteScheduler", num_train_timesteps: 1000, shift: 3 };
    const medium = "stabilityai/stable-diffusion-3.5-medium";
    const large = "stabilityai/stable-diffusion-3.5-large";
    if (!weights.has("transformer_blocks.0.attn.norm_q.weight")) {
      const repository = "stabilityai/stable-diffusion-3-medium-diffusers";
      return { title: "Stable Diffusion 3 Medium", repositories: [repository], scheduler };
    }
    return weights.has("transformer_blocks.0.attn2.to_q.weight")
      ? { title: "Stable Diffusion 3.5 Medium", repositories: [medium], scheduler }
      : { title: "Stable Diffusion 3.5 Large", repositories: [large], scheduler };
  },
};
