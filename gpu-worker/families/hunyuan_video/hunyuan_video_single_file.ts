// HunyuanVideo in single files: the names of Tencent/HunyuanVideo. The autoencoder's are diffusers' own.
import type { Architecture, Part, Variant } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { clipPart } from "../../checkpoint/single_file/parts/clip_part.ts";
import { causalPart } from "../../checkpoint/single_file/parts/causal_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { HUNYUAN_VIDEO_NAMES, REFINER } from "./hunyuan_video_names.ts";

const ORIGINAL: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) => tensors.has("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias"),
  place: () => findInTable(HUNYUAN_VIDEO_NAMES),
};

const LAYOUTS: readonly Layout[] = [
  ORIGINAL,
  ownNames({ prefixes: DENOISER_PREFIXES, markers: ["context_embedder.proj_in.weight"] }),
];

/** HunyuanVideo from text. A network whose first frame is given has the same tensors. */
export const hunyuanVideoSingleFile: Architecture = architectureOf({
  pipelineClass: "HunyuanVideoPipeline",
  seesImage: false,
  textEncoder: causalPart({ component: "text_encoder", className: "LlamaModel", names: ["llama"] }),
  variant: {
    title: "HunyuanVideo",
    repositories: ["hunyuanvideo-community/HunyuanVideo"],
  },
});

/** HunyuanVideo from an image that is seen beside the latents. */
export const hunyuanVideoImageSingleFile: Architecture = architectureOf({
  pipelineClass: "HunyuanVideoImageToVideoPipeline",
  seesImage: true,
  // No single file has both of its models.
  textEncoder: { component: "text_encoder", className: "LlavaForConditionalGeneration", layouts: [] },
  variant: {
    title: "HunyuanVideo I2V 33ch",
    repositories: ["hunyuanvideo-community/HunyuanVideo-I2V-33ch"],
  },
});

interface KindOptions {
  pipelineClass: string;
  /** Whether the input has more channels than the output. */
  seesImage: boolean;
  textEncoder: Part;
  variant: Omit<Variant, "scheduler">;
}

function architectureOf({ pipelineClass, seesImage, textEncoder, variant }: KindOptions): Architecture {
  return {
    pipelineClass,
    denoiser: {
      component: "transformer",
      className: "HunyuanVideoTransformer3DModel",
      layouts: LAYOUTS.map((layout): Layout => ({
        ...layout,
        matches: (tensors) => layout.matches(tensors) && hasMoreInputs(tensors) === seesImage,
      })),
      sizes(weights: Weights) {
        const width = sizeOf(weights, "x_embedder.proj.weight", 0);
        const head = sizeOf(weights, "transformer_blocks.0.attn.norm_q.weight", 0);
        const inChannels = sizeOf(weights, "x_embedder.proj.weight", 1);
        return {
          in_channels: inChannels,
          // The latents, the image's latents and a mask.
          ...seesImage && { out_channels: (inChannels - 1) / 2, image_condition_type: "latent_concat" },
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
      textEncoder,
      clipPart({
        component: "text_encoder_2",
        className: "CLIPTextModel",
        prefixes: ["text_encoders.clip_l.transformer."],
      }),
    ],
    tokenizers: {
      tokenizer: "LlamaTokenizerFast",
      tokenizer_2: "CLIPTokenizer",
      ...seesImage && { image_processor: "CLIPImageProcessor" },
    },
    variant: () => ({
      ...variant,
      scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", num_train_timesteps: 1000, shift: 7 },
    }),
  };
}

/** Whether the network of a file has more channels at its input than at its output. */
function hasMoreInputs(tensors: Weights): boolean {
  const first = tensors.get("img_in.proj.weight") ?? tensors.get("x_embedder.proj.weight");
  const last = tensors.get("final_layer.linear.weight") ?? tensors.get("proj_out.weight");
  const [, inChannels = 0, ...patch] = first?.shape ?? [];
  return inChannels * patch.reduce((product, n) => product * n, 1) > (last?.shape[0] ?? Infinity);
}
