// The names of Stability-AI/sd3.5 for the layers of Stable Diffusion 3, in single files and in LoRAs.
import { type FindOriginalNames, originalNames } from "../../checkpoint/lora/original_names.ts";
import type { NameTable } from "../../checkpoint/single_file/name_table.ts";

const BLOCK = "transformer_blocks.*";

/** One stream of a joint block. */
const stream = (
  file: string,
  attention: readonly string[],
  ours: { norm: string; ff: string; out: string },
) => ({
  [`joint_blocks.*.${file}.attn.qkv`]: attention.map((name) => `${BLOCK}.attn.${name}`),
  [`joint_blocks.*.${file}.attn.proj`]: `${BLOCK}.attn.${ours.out}`,
  [`joint_blocks.*.${file}.adaLN_modulation.1`]: `${BLOCK}.${ours.norm}.linear`,
  [`joint_blocks.*.${file}.mlp.fc1`]: `${BLOCK}.${ours.ff}.net.0.proj`,
  [`joint_blocks.*.${file}.mlp.fc2`]: `${BLOCK}.${ours.ff}.net.2`,
});

export const SD3_NAMES: NameTable = {
  modules: {
    "x_embedder.proj": "pos_embed.proj",
    "context_embedder": "context_embedder",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    ...stream("x_block", ["to_q", "to_k", "to_v"], { norm: "norm1", ff: "ff", out: "to_out.0" }),
    ...stream("context_block", ["add_q_proj", "add_k_proj", "add_v_proj"], {
      norm: "norm1_context",
      ff: "ff_context",
      out: "to_add_out",
    }),
    "joint_blocks.*.x_block.attn.ln_q": `${BLOCK}.attn.norm_q`,
    "joint_blocks.*.x_block.attn.ln_k": `${BLOCK}.attn.norm_k`,
    "joint_blocks.*.context_block.attn.ln_q": `${BLOCK}.attn.norm_added_q`,
    "joint_blocks.*.context_block.attn.ln_k": `${BLOCK}.attn.norm_added_k`,
    // The second attention of 3.5 medium, over image tokens alone.
    "joint_blocks.*.x_block.attn2.qkv": ["to_q", "to_k", "to_v"].map((name) => `${BLOCK}.attn2.${name}`),
    "joint_blocks.*.x_block.attn2.proj": `${BLOCK}.attn2.to_out.0`,
    "joint_blocks.*.x_block.attn2.ln_q": `${BLOCK}.attn2.norm_q`,
    "joint_blocks.*.x_block.attn2.ln_k": `${BLOCK}.attn2.norm_k`,
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": { to: ["norm_out.linear"], order: "swapped" },
  },
  tensors: { "pos_embed": "pos_embed.pos_embed" },
};

export const sd3OriginalNames: FindOriginalNames = originalNames(SD3_NAMES, {
  // diffusers reads no LoRAs of these: some or all of them have their halves in reverse order.
  without: /\.context_block\.adaLN_modulation\.1$|^final_layer\.adaLN_modulation\.1$/,
});
