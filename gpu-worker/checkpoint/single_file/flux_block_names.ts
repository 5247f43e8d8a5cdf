// The names of FLUX's blocks in black-forest-labs/flux, which the models that descend from FLUX.1 share.
import type { NameTable } from "./name_table.ts";

/**
 * @param file the stream's name: img or txt
 * @param ours diffusers' names of its projections and feed-forward
 */
const stream = (
  file: string,
  ours: { qkv: readonly string[]; out: string; norms: readonly string[]; ff: string },
) => ({
  modules: {
    [`double_blocks.*.${file}_attn.qkv`]: ours.qkv.map((name) => `transformer_blocks.*.attn.${name}`),
    [`double_blocks.*.${file}_attn.proj`]: `transformer_blocks.*.attn.${ours.out}`,
    [`double_blocks.*.${file}_mlp.0`]: `transformer_blocks.*.${ours.ff}.net.0.proj`,
    [`double_blocks.*.${file}_mlp.2`]: `transformer_blocks.*.${ours.ff}.net.2`,
  },
  tensors: {
    [`double_blocks.*.${file}_attn.norm.query_norm.scale`]: `transformer_blocks.*.attn.${
      ours.norms[0]
    }.weight`,
    [`double_blocks.*.${file}_attn.norm.key_norm.scale`]: `transformer_blocks.*.attn.${ours.norms[1]}.weight`,
  },
});

const IMAGE = stream("img", {
  qkv: ["to_q", "to_k", "to_v"],
  out: "to_out.0",
  norms: ["norm_q", "norm_k"],
  ff: "ff",
});
const TEXT = stream("txt", {
  qkv: ["add_q_proj", "add_k_proj", "add_v_proj"],
  out: "to_add_out",
  norms: ["norm_added_q", "norm_added_k"],
  ff: "ff_context",
});

export const FLUX_BLOCK_NAMES: Required<Pick<NameTable, "modules" | "tensors">> = {
  modules: {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    ...IMAGE.modules,
    ...TEXT.modules,
    "single_blocks.*.linear1": {
      to: ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"].map((name) =>
        `single_transformer_blocks.*.${name}`
      ),
      shares: [1, 1, 1, 4],
    },
    "single_blocks.*.linear2": "single_transformer_blocks.*.proj_out",
    "final_layer.linear": "proj_out",
  },
  tensors: {
    ...IMAGE.tensors,
    ...TEXT.tensors,
    "single_blocks.*.norm.query_norm.scale": "single_transformer_blocks.*.attn.norm_q.weight",
    "single_blocks.*.norm.key_norm.scale": "single_transformer_blocks.*.attn.norm_k.weight",
  },
};

/** Names of LoRAs by XLabs, after the attention processors that they belong to. */
export const FLUX_PROCESSOR_NAMES: Required<NameTable>["modules"] = {
  "double_blocks.*.processor.qkv_lora1": ["to_q", "to_k", "to_v"].map((name) =>
    `transformer_blocks.*.attn.${name}`
  ),
  "double_blocks.*.processor.qkv_lora2": ["add_q_proj", "add_k_proj", "add_v_proj"].map((name) =>
    `transformer_blocks.*.attn.${name}`
  ),
  "double_blocks.*.processor.proj_lora1": "transformer_blocks.*.attn.to_out.0",
  "double_blocks.*.processor.proj_lora2": "transformer_blocks.*.attn.to_add_out",
  "single_blocks.*.processor.qkv_lora": ["to_q", "to_k", "to_v"].map((name) =>
    `single_transformer_blocks.*.attn.${name}`
  ),
  "single_blocks.*.processor.proj_lora": "single_transformer_blocks.*.proj_out",
};
