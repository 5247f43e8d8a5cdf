// Qwen-Image in single files. The original names are diffusers' own; the autoencoder is
// Wan's and has Wan's names.
import type { Architecture } from "../../checkpoint/single_file/architecture.ts";
import { DENOISER_PREFIXES, ownNames } from "../../checkpoint/single_file/layout.ts";
import { causalPart } from "../../checkpoint/single_file/parts/causal_part.ts";
import { wanVaePart } from "../../checkpoint/single_file/parts/wan_vae_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { QWEN_PICTURE_SCHEDULER } from "../../pipeline/qwen_picture.ts";

const STILL_REFERENCES = "__index_timestep_zero__";

export const qwenImageSingleFile: Architecture = {
  pipelineClass: "QwenImagePipeline",
  siblings: {
    QwenImageEditPipeline: "Qwen-Image-Edit",
    QwenImageEditPlusPipeline: "Qwen-Image-Edit-2509 or later",
  },
  denoiser: {
    component: "transformer",
    className: "QwenImageTransformer2DModel",
    layouts: [
      ownNames({
        prefixes: DENOISER_PREFIXES,
        markers: ["txt_norm.weight", "transformer_blocks.0.attn.add_q_proj.weight"],
        // ComfyUI's marker of Qwen-Image-Edit-2511, whose config.json says the same (zero_cond_t).
        unused: new RegExp(`^${STILL_REFERENCES}$`),
      }),
    ],
    sizes(weights: Weights) {
      const width = sizeOf(weights, "img_in.weight", 0);
      const head = sizeOf(weights, "transformer_blocks.0.attn.norm_q.weight", 0);
      return {
        in_channels: sizeOf(weights, "img_in.weight", 1),
        num_layers: countOf(weights, "transformer_blocks."),
        attention_head_dim: head,
        num_attention_heads: width / head,
        joint_attention_dim: sizeOf(weights, "txt_in.weight", 1),
      };
    },
  },
  parts: [
    wanVaePart("AutoencoderKLQwenImage"),
    causalPart({
      component: "text_encoder",
      className: "Qwen2_5_VLForConditionalGeneration",
      names: ["qwen25_7b"],
    }),
  ],
  tokenizers: { tokenizer: "Qwen2Tokenizer" },
  variant(_weights: Weights, tensors: Weights) {
    const isMarked = DENOISER_PREFIXES.some((prefix) => tensors.has(`${prefix}${STILL_REFERENCES}`));
    if (isMarked) {
      return {
        title: "Qwen-Image-Edit-2511",
        pipelineClass: "QwenImageEditPlusPipeline",
        repositories: ["Qwen/Qwen-Image-Edit-2511"],
        scheduler: QWEN_PICTURE_SCHEDULER,
      };
    }
    return {
      title: "Qwen-Image",
      repositories: ["Qwen/Qwen-Image", "Qwen/Qwen-Image-2512"],
      scheduler: QWEN_PICTURE_SCHEDULER,
    };
  },
};
