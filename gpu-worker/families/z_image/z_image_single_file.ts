// Z-Image in single files: the names of Tongyi-MAI/Z-Image, with fused queries, keys and values.
import type { Architecture } from "../../checkpoint/single_file/architecture.ts";
import { type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { autoencoderKLPart } from "../../checkpoint/single_file/parts/autoencoder_kl_part.ts";
import { causalPart } from "../../checkpoint/single_file/parts/causal_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";

const PREFIXES = ["model.diffusion_model.", ""];
/** diffusers numbers the layers at both ends by the size of a patch: 2x2 pixels of one frame. */
const PATCH = "2-1";
const MARKERS = ["layers.0.adaLN_modulation.0.weight", "cap_embedder.0.weight"];

const block = (name: string) => ({
  [`${name}.*.attention.qkv`]: ["to_q", "to_k", "to_v"].map((part) => `${name}.*.attention.${part}`),
  [`${name}.*.attention.out`]: `${name}.*.attention.to_out.0`,
  [`${name}.*.attention.q_norm`]: `${name}.*.attention.norm_q`,
  [`${name}.*.attention.k_norm`]: `${name}.*.attention.norm_k`,
  ...Object.fromEntries(
    ["adaLN_modulation.0", "attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"]
      .concat(["feed_forward.w1", "feed_forward.w2", "feed_forward.w3"])
      .map((part) => [`${name}.*.${part}`, `${name}.*.${part}`]),
  ),
});

const ORIGINAL: Layout = {
  prefixes: PREFIXES,
  matches: (tensors) => MARKERS.every((name) => tensors.has(name)) && tensors.has("x_embedder.weight"),
  place: () =>
    findInTable({
      modules: {
        "x_embedder": `all_x_embedder.${PATCH}`,
        "final_layer.linear": `all_final_layer.${PATCH}.linear`,
        "final_layer.adaLN_modulation.1": `all_final_layer.${PATCH}.adaLN_modulation.1`,
        "cap_embedder.0": "cap_embedder.0",
        "cap_embedder.1": "cap_embedder.1",
        "t_embedder.mlp.0": "t_embedder.mlp.0",
        "t_embedder.mlp.2": "t_embedder.mlp.2",
        ...block("layers"),
        ...block("noise_refiner"),
        ...block("context_refiner"),
      },
      tensors: { "x_pad_token": "x_pad_token", "cap_pad_token": "cap_pad_token" },
      unused: /^norm_final\.weight$/,
    }),
};

export const zImageSingleFile: Architecture = {
  pipelineClass: "ZImagePipeline",
  denoiser: {
    component: "transformer",
    className: "ZImageTransformer2DModel",
    layouts: [
      ORIGINAL,
      ownNames({ prefixes: PREFIXES, markers: [...MARKERS, `all_x_embedder.${PATCH}.weight`] }),
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
  parts: [autoencoderKLPart, causalPart("text_encoder", "Qwen3ForCausalLM")],
  tokenizers: { tokenizer: "Qwen2Tokenizer" },
  variant: () => ({
    title: "Z-Image",
    // Turbo, which most files are, and the base model have equal names and shapes.
    repositories: ["Tongyi-MAI/Z-Image-Turbo", "Tongyi-MAI/Z-Image"],
    scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", num_train_timesteps: 1000, shift: 3 },
  }),
};
