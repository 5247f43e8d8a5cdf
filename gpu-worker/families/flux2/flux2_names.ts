// The names of black-forest-labs/flux2 for the layers of FLUX.2, in single files and in LoRAs.
import { type FindOriginalNames, originalNames } from "../../checkpoint/lora/original_names.ts";
import type { NameTable } from "../../checkpoint/single_file/name_table.ts";

const MODULATIONS = [
  "double_stream_modulation_img",
  "double_stream_modulation_txt",
  "single_stream_modulation",
];

interface Stream {
  qkv: readonly string[];
  out: string;
  norms: readonly [query: string, key: string];
  ff: string;
}

/** @param file the stream's name: img or txt @param ours diffusers' names */
const stream = (file: string, ours: Stream) => ({
  modules: {
    [`double_blocks.*.${file}_attn.qkv`]: ours.qkv.map((name) => `transformer_blocks.*.attn.${name}`),
    [`double_blocks.*.${file}_attn.proj`]: `transformer_blocks.*.attn.${ours.out}`,
    [`double_blocks.*.${file}_mlp.0`]: `transformer_blocks.*.${ours.ff}.linear_in`,
    [`double_blocks.*.${file}_mlp.2`]: `transformer_blocks.*.${ours.ff}.linear_out`,
  },
  tensors: norms(`double_blocks.*.${file}_attn.norm`, "transformer_blocks.*.attn", ours.norms),
});

const norms = (file: string, ours: string, [query, key]: Stream["norms"]) => ({
  [`${file}.query_norm.scale`]: `${ours}.${query}.weight`,
  [`${file}.key_norm.scale`]: `${ours}.${key}.weight`,
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

export const FLUX2_NAMES: NameTable = {
  modules: {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    ...Object.fromEntries(
      ["time", "guidance"].flatMap((name) => {
        const ours = `time_guidance_embed.${name === "time" ? "timestep" : name}_embedder`;
        return [[`${name}_in.in_layer`, `${ours}.linear_1`], [`${name}_in.out_layer`, `${ours}.linear_2`]];
      }),
    ),
    ...Object.fromEntries(MODULATIONS.map((name) => [`${name}.lin`, `${name}.linear`])),
    ...IMAGE.modules,
    ...TEXT.modules,
    "single_blocks.*.linear1": "single_transformer_blocks.*.attn.to_qkv_mlp_proj",
    "single_blocks.*.linear2": "single_transformer_blocks.*.attn.to_out",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": { to: ["norm_out.linear"], order: "swapped" },
  },
  tensors: {
    ...IMAGE.tensors,
    ...TEXT.tensors,
    ...norms("single_blocks.*.norm", "single_transformer_blocks.*.attn", ["norm_q", "norm_k"]),
  },
};

const fromTable = originalNames(FLUX2_NAMES);

/**
 * Some LoRAs cut the beginning off diffusers' own names. diffusers does not swap the halves of
 * a LoRA's last modulation.
 */
export const flux2OriginalNames: FindOriginalNames = (modules) => {
  const names = new Map(fromTable(modules).entries().map(([name, { modules }]) => [name, { modules }]));
  for (const module of modules) {
    if (module.startsWith("transformer_blocks.")) {
      names.set(module.slice("tran".length), { modules: [module] });
    }
  }
  return names;
};
