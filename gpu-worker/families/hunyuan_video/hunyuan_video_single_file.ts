// HunyuanVideo in single files: the names of Tencent/HunyuanVideo. The autoencoder's are diffusers' own.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { Architecture, Variant } from "../../checkpoint/single_file/architecture.ts";
import { type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { clipPart } from "../../checkpoint/single_file/parts/clip_part.ts";
import { causalPart } from "../../checkpoint/single_file/parts/causal_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { HUNYUAN_VIDEO_NAMES, REFINER } from "./hunyuan_video_names.ts";

const PREFIXES = ["model.diffusion_model.", "model.model.", ""];

const ORIGINAL: Layout = {
  prefixes: PREFIXES,
  matches: (tensors) => tensors.has("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias"),
  place: () => findInTable(HUNYUAN_VIDEO_NAMES),
};

export const hunyuanVideoSingleFile: Architecture = {
  pipelineClass: "HunyuanVideoPipeline",
  denoiser: {
    component: "transformer",
    className: "HunyuanVideoTransformer3DModel",
    layouts: [ORIGINAL, ownNames({ prefixes: PREFIXES, markers: ["context_embedder.proj_in.weight"] })],
    sizes(weights: Weights) {
      const width = sizeOf(weights, "x_embedder.proj.weight", 0);
      const head = sizeOf(weights, "transformer_blocks.0.attn.norm_q.weight", 0);
      return {
        in_channels: sizeOf(weights, "x_embedder.proj.weight", 1),
        patch_size_t: sizeOf(weights, "x_embedder.proj.weight", 2),
        patch_size: sizeOf(weights, "x_embedder.proj.weight", 3),
        num_layers: countOf(weights, "transformer_blocks."),
        num_single_layers: countOf(weights, "single_transformer_blocks."),
        num_refiner_layers: countOf(weights, `${REFINER}.`),
        attention_head_dim: head,
        num_attention_heads: width / head,
        text_embed_dim: sizeOf(weights, "context_embedder.proj_in.weight", 1),
        pooled_projection_dim: sizeOf(weights, "time_text_embed.text_embedder.linear_1.weight", 1),
        guidance_embeds: weights.has("time_text_embed.guidance_embedder.linear_1.weight"),
      };
    },
  },
  parts: [
    {
      component: "vae",
      className: "AutoencoderKLHunyuanVideo",
      layouts: [
        ownNames({ prefixes: ["vae.", ""], markers: ["decoder.mid_block.resnets.0.conv1.conv.weight"] }),
      ],
    },
    causalPart("text_encoder", "LlamaModel"),
    clipPart({
      component: "text_encoder_2",
      className: "CLIPTextModel",
      prefixes: ["text_encoders.clip_l.transformer."],
    }),
  ],
  tokenizers: { tokenizer: "LlamaTokenizerFast", tokenizer_2: "CLIPTokenizer" },
  variant(weights: Weights): Variant {
    const channels = sizeOf(weights, "x_embedder.proj.weight", 1);
    if (channels > 16) {
      const { path } = weights.get("x_embedder.proj.weight")!;
      throw new CheckpointError(
        `Cannot use ${path} as it is HunyuanVideo from an image (${channels} input channels), ` +
          "which is not supported",
      );
    }
    return {
      title: "HunyuanVideo",
      repositories: ["hunyuanvideo-community/HunyuanVideo"],
      scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", num_train_timesteps: 1000, shift: 7 },
    };
  },
};
