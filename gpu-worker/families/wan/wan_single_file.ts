// Wan2.1 and Wan2.2 in single files: the names of Wan-Video/Wan2.1. Wan2.2's experts are two files.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { Architecture, Variant, VariantOptions } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { t5Part } from "../../checkpoint/single_file/parts/t5_part.ts";
import { wanVaePart } from "../../checkpoint/single_file/parts/wan_vae_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { WAN_NAMES } from "./wan_names.ts";

/** Width of a head in every published model. */
const HEAD = 128;

const ORIGINAL: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) => tensors.has("head.modulation"),
  place: () => findInTable(WAN_NAMES),
};

const TRANSFORMER = {
  className: "WanTransformer3DModel",
  layouts: [
    ORIGINAL,
    ownNames({ prefixes: DENOISER_PREFIXES, markers: ["condition_embedder.text_embedder.linear_1.weight"] }),
  ],
};

export const wanSingleFile: Architecture = {
  pipelineClass: "WanPipeline",
  denoiser: {
    ...TRANSFORMER,
    component: "transformer",
    sizes(weights: Weights) {
      const width = sizeOf(weights, "patch_embedding.weight", 0);
      const patch = [2, 3, 4].map((i) => sizeOf(weights, "patch_embedding.weight", i));
      return {
        patch_size: patch,
        in_channels: sizeOf(weights, "patch_embedding.weight", 1),
        out_channels: sizeOf(weights, "proj_out.weight", 0) / patch.reduce((product, n) => product * n, 1),
        ...width % HEAD === 0 && { attention_head_dim: HEAD, num_attention_heads: width / HEAD },
        text_dim: sizeOf(weights, "condition_embedder.text_embedder.linear_1.weight", 1),
        freq_dim: sizeOf(weights, "condition_embedder.time_embedder.linear_1.weight", 1),
        ffn_dim: sizeOf(weights, "blocks.0.ffn.net.0.proj.weight", 0),
        num_layers: countOf(weights, "blocks."),
      };
    },
  },
  parts: [
    { ...TRANSFORMER, component: "transformer_2", optional: true, alone: true },
    wanVaePart("AutoencoderKLWan"),
    t5Part({
      component: "text_encoder",
      className: "UMT5EncoderModel",
      prefixes: ["text_encoders.umt5xxl.transformer."],
    }),
  ],
  tokenizers: { tokenizer: "T5TokenizerFast" },
  variant(weights: Weights, tensors: Weights, { given }: VariantOptions): Variant {
    const { path } = weights.get("patch_embedding.weight") ?? weights.values().next().value!;
    const refuse = (kind: string) =>
      new CheckpointError(
        `Cannot use ${path} as it is ${kind}, which is not supported: only text to video is`,
      );
    const has = (part: string) => tensors.keys().some((name) => name.includes(part));
    if (has("vace_blocks.")) throw refuse("Wan VACE");
    if (has("motion_encoder.") || has("face_adapter.")) throw refuse("Wan Animate");
    const channels = sizeOf(weights, "patch_embedding.weight", 1);
    if (has("img_emb.") || has("image_embedder.") || channels === 36) throw refuse("Wan image to video");
    if (channels === 48) return variantOf("Wan2.2-TI2V-5B", { flowShift: 5 });
    // The experts have Wan2.1's shapes, so the second file tells.
    if (given.includes("transformer_2")) return variantOf("Wan2.2-T2V-A14B", { flowShift: 3 });
    const size = sizeOf(weights, "patch_embedding.weight", 0) === 5120 ? "14B" : "1.3B";
    return variantOf(`Wan2.1-T2V-${size}`, { flowShift: 3 });
  },
};

function variantOf(name: string, { flowShift }: { flowShift: number }): Variant {
  return {
    title: name.replaceAll("-", " "),
    repositories: [`Wan-AI/${name}-Diffusers`],
    scheduler: {
      _class_name: "UniPCMultistepScheduler",
      prediction_type: "flow_prediction",
      use_flow_sigmas: true,
      flow_shift: flowShift,
      num_train_timesteps: 1000,
      solver_order: 2,
      solver_type: "bh2",
    },
  };
}
