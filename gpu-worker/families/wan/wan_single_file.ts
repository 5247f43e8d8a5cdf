// Wan2.1 and Wan2.2 in single files, from text and from frames: the names of Wan-Video/Wan2.1. Wan2.2's
// experts are two files.
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

/** Inputs of a network besides its latents and the text. */
type Kind = "text" | "frames" | "frames and vision";

const LAYOUTS: readonly Layout[] = [
  {
    prefixes: DENOISER_PREFIXES,
    matches: (tensors) => tensors.has("head.modulation"),
    place: () => findInTable(WAN_NAMES),
  },
  ownNames({ prefixes: DENOISER_PREFIXES, markers: ["condition_embedder.text_embedder.linear_1.weight"] }),
];

/** Returns what the network of a file sees, by its first and last layers. */
function kindOf(tensors: Weights): Kind {
  const [, inChannels = 0, ...patch] = tensors.get("patch_embedding.weight")?.shape ?? [];
  const last = tensors.get("head.head.weight") ?? tensors.get("proj_out.weight");
  const outChannels = (last?.shape[0] ?? 0) / patch.reduce((product, n) => product * n, 1);
  if (inChannels <= outChannels) return "text";
  return tensors.has(`${IMAGE_EMBEDDER.file}.1.weight`) || tensors.has(`${IMAGE_EMBEDDER.own}.norm1.weight`)
    ? "frames and vision"
    : "frames";
}

const IMAGE_EMBEDDER = { file: "img_emb.proj", own: "condition_embedder.image_embedder" };

function transformerOf(kind: Kind) {
  return {
    className: "WanTransformer3DModel",
    layouts: LAYOUTS.map((layout): Layout => ({
      ...layout,
      matches: (tensors) => layout.matches(tensors) && kindOf(tensors) === kind,
    })),
  };
}

/** Diffusers' models from text alone. */
export const wanSingleFile: Architecture = architectureOf("text", {
  pipelineClass: "WanPipeline",
  variant(weights, { given }) {
    if (sizeOf(weights, "patch_embedding.weight", 1) === 48) {
      return variantOf("Wan2.2-TI2V-5B", { flowShift: 5 });
    }
    // The experts have Wan2.1's shapes, so the second file tells.
    if (given.includes("transformer_2")) return variantOf("Wan2.2-T2V-A14B", { flowShift: 3 });
    const size = sizeOf(weights, "patch_embedding.weight", 0) === 5120 ? "14B" : "1.3B";
    return variantOf(`Wan2.1-T2V-${size}`, { flowShift: 3 });
  },
});

/** Wan2.1's models from frames, with CLIP's vision encoder. */
export const wanVisionSingleFile: Architecture = architectureOf("frames and vision", {
  pipelineClass: "WanImageToVideoPipeline",
  variant: (weights) =>
    weights.has(`${IMAGE_EMBEDDER.own}.pos_embed`)
      ? { ...variantOf("Wan2.1-FLF2V-14B-720P", { flowShift: 5 }), repositories: [FLF_REPOSITORY] }
      : {
        ...variantOf("Wan2.1-I2V-14B-480P", { flowShift: 3 }),
        title: "Wan2.1 I2V 14B",
        repositories: [480, 720].map((lines) => `Wan-AI/Wan2.1-I2V-14B-${lines}P-Diffusers`) as [
          string,
          string,
        ],
      },
});

/** Its name ends in small letters. */
const FLF_REPOSITORY = "Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers";

/** Wan2.2's experts from frames, which see no image but its latents. */
export const wanFramesSingleFile: Architecture = architectureOf("frames", {
  pipelineClass: "WanImageToVideoPipeline",
  variant: () => variantOf("Wan2.2-I2V-A14B", { flowShift: 5 }),
});

interface KindOptions {
  pipelineClass: string;
  variant(weights: Weights, options: VariantOptions): Variant;
}

function architectureOf(kind: Kind, { pipelineClass, variant }: KindOptions): Architecture {
  const hasVision = kind === "frames and vision";
  return {
    pipelineClass,
    denoiser: {
      ...transformerOf(kind),
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
          ...hasVision && {
            image_dim: sizeOf(weights, `${IMAGE_EMBEDDER.own}.norm1.weight`, 0),
            added_kv_proj_dim: width,
            pos_embed_seq_len: weights.get(`${IMAGE_EMBEDDER.own}.pos_embed`)?.shape[1] ?? null,
          },
        };
      },
    },
    parts: [
      { ...transformerOf(kind), component: "transformer_2", optional: true, alone: true },
      // No single file has it.
      ...hasVision ? [{ component: "image_encoder", className: "CLIPVisionModel", layouts: [] }] : [],
      wanVaePart("AutoencoderKLWan"),
      t5Part({
        component: "text_encoder",
        className: "UMT5EncoderModel",
        prefixes: ["text_encoders.umt5xxl.transformer."],
      }),
    ],
    tokenizers: {
      tokenizer: "T5TokenizerFast",
      ...hasVision && { image_processor: "CLIPImageProcessor" },
    },
    variant(weights: Weights, tensors: Weights, options: VariantOptions): Variant {
      const { path } = weights.get("patch_embedding.weight") ?? weights.values().next().value!;
      const refuse = (kind: string) =>
        new CheckpointError(
          `Cannot use ${path} as it is ${kind}, which is not supported: text to video and image to video are`,
        );
      const has = (part: string) => tensors.keys().some((name) => name.includes(part));
      if (has("vace_blocks.")) throw refuse("Wan VACE");
      if (has("motion_encoder.") || has("face_adapter.")) throw refuse("Wan Animate");
      return variant(weights, options);
    },
  };
}

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
