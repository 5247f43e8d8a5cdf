// The names of Tongyi-MAI/Z-Image for the layers of Z-Image, in single files and in LoRAs.
import { type FindOriginalNames, originalNames } from "../../checkpoint/lora/original_names.ts";
import type { NameTable } from "../../checkpoint/single_file/name_table.ts";

/** diffusers numbers the layers at both ends by the size of a patch: 2x2 pixels of one frame. */
export const PATCH = "2-1";

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

export const Z_IMAGE_NAMES: NameTable = {
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
};

export const zImageOriginalNames: FindOriginalNames = originalNames(Z_IMAGE_NAMES, { own: true });
