// FLUX.2 klein in single files: the names of black-forest-labs/flux2.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { Architecture, Variant } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { autoencoderKLFlux2Part } from "../../checkpoint/single_file/parts/autoencoder_kl_part.ts";
import { causalPart } from "../../checkpoint/single_file/parts/causal_part.ts";
import { fluxBlockSizes } from "../../checkpoint/single_file/flux_block_sizes.ts";
import { sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { FLUX2_NAMES } from "./flux2_names.ts";

const ORIGINAL: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) =>
    tensors.has("single_stream_modulation.lin.weight") && tensors.has("double_blocks.0.img_attn.qkv.weight"),
  place: () => findInTable(FLUX2_NAMES),
};

export const flux2SingleFile: Architecture = {
  pipelineClass: "Flux2KleinPipeline",
  denoiser: {
    component: "transformer",
    className: "Flux2Transformer2DModel",
    layouts: [
      ORIGINAL,
      ownNames({
        prefixes: DENOISER_PREFIXES,
        markers: ["x_embedder.weight", "single_stream_modulation.linear.weight"],
      }),
    ],
    sizes(weights: Weights) {
      const width = sizeOf(weights, "x_embedder.weight", 0);
      return {
        ...fluxBlockSizes(weights),
        mlp_ratio: sizeOf(weights, "transformer_blocks.0.ff.linear_out.weight", 1) / width,
        timestep_guidance_channels: sizeOf(
          weights,
          "time_guidance_embed.timestep_embedder.linear_1.weight",
          1,
        ),
        guidance_embeds: hasGuidance(weights),
      };
    },
  },
  parts: [
    autoencoderKLFlux2Part,
    causalPart({ component: "text_encoder", className: "Qwen3ForCausalLM", names: ["qwen3_4b", "qwen3_8b"] }),
  ],
  tokenizers: { tokenizer: "Qwen2Tokenizer" },
  variant(weights: Weights): Variant {
    if (hasGuidance(weights)) {
      const { path } = weights.values().next().value!;
      throw new CheckpointError(
        `Cannot use ${path} as it is FLUX.2 [dev], which is not supported: only FLUX.2 klein is`,
      );
    }
    const size = sizeOf(weights, "x_embedder.weight", 0) === 4096 ? "9B" : "4B";
    return {
      title: `FLUX.2 klein ${size}`,
      // The distilled model, which most files are, and the base model have equal names and shapes.
      repositories: [
        `black-forest-labs/FLUX.2-klein-${size}`,
        `black-forest-labs/FLUX.2-klein-base-${size}`,
      ],
      scheduler: {
        _class_name: "FlowMatchEulerDiscreteScheduler",
        num_train_timesteps: 1000,
        shift: 3,
        use_dynamic_shifting: true,
        time_shift_type: "exponential",
      },
    };
  },
};

function hasGuidance(weights: Weights): boolean {
  return weights.has("time_guidance_embed.guidance_embedder.linear_1.weight");
}
