// The names of Tencent/HunyuanVideo for the layers of HunyuanVideo, in single files and in LoRAs.
import { type FindOriginalNames, originalNames } from "../../checkpoint/lora/original_names.ts";
import type { NameTable } from "../../checkpoint/single_file/name_table.ts";

/** diffusers' name of the blocks that refine the prompt. */
export const REFINER = "context_embedder.token_refiner.refiner_blocks";

const stream = (
  file: string,
  attention: readonly string[],
  ours: { norms: string[]; out: string; ff: string },
) => ({
  [`double_blocks.*.${file}_attn_qkv`]: attention.map((name) => `transformer_blocks.*.attn.${name}`),
  [`double_blocks.*.${file}_attn_q_norm`]: `transformer_blocks.*.attn.${ours.norms[0]}`,
  [`double_blocks.*.${file}_attn_k_norm`]: `transformer_blocks.*.attn.${ours.norms[1]}`,
  [`double_blocks.*.${file}_attn_proj`]: `transformer_blocks.*.attn.${ours.out}`,
  [`double_blocks.*.${file}_mod.linear`]: `transformer_blocks.*.${ours.norms[2]}.linear`,
  [`double_blocks.*.${file}_mlp.fc1`]: `transformer_blocks.*.${ours.ff}.net.0.proj`,
  [`double_blocks.*.${file}_mlp.fc2`]: `transformer_blocks.*.${ours.ff}.net.2`,
});

const embedder = (file: string, ours: string, layers: readonly [string, string] = ["mlp.0", "mlp.2"]) => ({
  [`${file}.${layers[0]}`]: `${ours}.linear_1`,
  [`${file}.${layers[1]}`]: `${ours}.linear_2`,
});

export const HUNYUAN_VIDEO_NAMES: NameTable = {
  modules: {
    "img_in.proj": "x_embedder.proj",
    ...embedder("time_in", "time_text_embed.timestep_embedder"),
    ...embedder("guidance_in", "time_text_embed.guidance_embedder"),
    ...embedder("vector_in", "time_text_embed.text_embedder", ["in_layer", "out_layer"]),
    "txt_in.input_embedder": "context_embedder.proj_in",
    ...embedder("txt_in.t_embedder", "context_embedder.time_text_embed.timestep_embedder"),
    ...embedder("txt_in.c_embedder", "context_embedder.time_text_embed.text_embedder", [
      "linear_1",
      "linear_2",
    ]),
    "txt_in.individual_token_refiner.blocks.*.norm1": `${REFINER}.*.norm1`,
    "txt_in.individual_token_refiner.blocks.*.norm2": `${REFINER}.*.norm2`,
    "txt_in.individual_token_refiner.blocks.*.self_attn_qkv": ["to_q", "to_k", "to_v"]
      .map((name) => `${REFINER}.*.attn.${name}`),
    "txt_in.individual_token_refiner.blocks.*.self_attn_proj": `${REFINER}.*.attn.to_out.0`,
    "txt_in.individual_token_refiner.blocks.*.mlp.fc1": `${REFINER}.*.ff.net.0.proj`,
    "txt_in.individual_token_refiner.blocks.*.mlp.fc2": `${REFINER}.*.ff.net.2`,
    "txt_in.individual_token_refiner.blocks.*.adaLN_modulation.1": `${REFINER}.*.norm_out.linear`,
    ...stream("img", ["to_q", "to_k", "to_v"], {
      norms: ["norm_q", "norm_k", "norm1"],
      out: "to_out.0",
      ff: "ff",
    }),
    ...stream("txt", ["add_q_proj", "add_k_proj", "add_v_proj"], {
      norms: ["norm_added_q", "norm_added_k", "norm1_context"],
      out: "to_add_out",
      ff: "ff_context",
    }),
    "single_blocks.*.linear1": {
      to: ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"].map((name) =>
        `single_transformer_blocks.*.${name}`
      ),
      shares: [1, 1, 1, 4],
    },
    "single_blocks.*.linear2": "single_transformer_blocks.*.proj_out",
    "single_blocks.*.q_norm": "single_transformer_blocks.*.attn.norm_q",
    "single_blocks.*.k_norm": "single_transformer_blocks.*.attn.norm_k",
    "single_blocks.*.modulation.linear": "single_transformer_blocks.*.norm.linear",
    "final_layer.linear": "proj_out",
    // The original computes shift and scale, diffusers scale and shift.
    "final_layer.adaLN_modulation.1": { to: ["norm_out.linear"], order: "swapped" },
  },
};

export const hunyuanVideoOriginalNames: FindOriginalNames = originalNames(HUNYUAN_VIDEO_NAMES);
