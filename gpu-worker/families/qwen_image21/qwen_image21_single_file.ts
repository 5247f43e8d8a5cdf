// Qwen-Image-2.1 in single files: diffusers' names, with the two inner layers of each
// feed-forward fused by ComfyUI.
import type { Architecture } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, type Layout } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { causalPart } from "../../checkpoint/single_file/parts/causal_part.ts";
import { wanVaePart } from "../../checkpoint/single_file/parts/wan_vae_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { QWEN_PICTURE_SCHEDULER } from "../../pipeline/qwen_picture.ts";

const MLP = "transformer_blocks.*.img_mlp";

/** ComfyUI's names, which LoRAs that were trained on its files have too. */
export const QWEN_IMAGE_21_NAMES = { modules: { [`${MLP}.gate_up`]: [`${MLP}.gate_layer`, `${MLP}.proj`] } };

const LAYOUT: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) => tensors.has("txt_in.text_norm.weight") && tensors.has("modulation.1.weight"),
  place: () => {
    const find = findInTable(QWEN_IMAGE_21_NAMES);
    return (name) => find(name) ?? { to: [name] };
  },
};

export const qwenImage21SingleFile: Architecture = {
  pipelineClass: "QwenImage21Pipeline",
  denoiser: {
    component: "transformer",
    className: "QwenImage21Transformer2DModel",
    layouts: [LAYOUT],
    sizes(weights: Weights) {
      const width = sizeOf(weights, "img_in.weight", 0);
      const head = sizeOf(weights, "transformer_blocks.0.attn.norm_q.weight", 0);
      return {
        in_channels: sizeOf(weights, "img_in.weight", 1),
        out_channels: sizeOf(weights, "proj_out.weight", 0),
        num_layers: countOf(weights, "transformer_blocks."),
        attention_head_dim: head,
        num_attention_heads: width / head,
        context_in_dim: sizeOf(weights, "txt_in.in_layer.weight", 1),
        mlp_ratio: sizeOf(weights, "transformer_blocks.0.img_mlp.out.weight", 1) / width,
      };
    },
  },
  parts: [
    wanVaePart("AutoencoderKLQwenImage21"),
    causalPart({
      component: "text_encoder",
      className: "Qwen3VLForConditionalGeneration",
      names: ["qwen3vl_8b"],
    }),
  ],
  tokenizers: { processor: "Qwen3VLProcessor" },
  variant: () => ({
    title: "Qwen-Image-2.1",
    repositories: ["Qwen/Qwen-Image-2.1"],
    // The published scheduler_config.json has Qwen-Image's numbers, as public code that read it says
    // (2026-11). A run takes these only if the components are another model's.
    scheduler: QWEN_PICTURE_SCHEDULER,
  }),
};
