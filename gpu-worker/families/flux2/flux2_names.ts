// The names of black-forest-labs/flux2 for the layers of FLUX.2, in single files and in LoRAs.
import { type FindOriginalNames, originalNames } from "../../checkpoint/lora/original_names.ts";
import { fluxNormNames, fluxStreamNames } from "../../checkpoint/single_file/flux_block_names.ts";
import type { NameTable } from "../../checkpoint/single_file/name_table.ts";

const MODULATIONS = [
  "double_stream_modulation_img",
  "double_stream_modulation_txt",
  "single_stream_modulation",
];

const IMAGE = fluxStreamNames("img", ["linear_in", "linear_out"]);
const TEXT = fluxStreamNames("txt", ["linear_in", "linear_out"]);

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
    ...fluxNormNames("single_blocks.*.norm", "single_transformer_blocks.*.attn", ["norm_q", "norm_k"]),
  },
};

const fromTable = originalNames(FLUX2_NAMES);

/**
 * SimpleTuner writes diffusers' own names without a prefix, and some LoRAs cut off their beginning too.
 * diffusers does not swap the halves of a LoRA's last modulation.
 */
export const flux2OriginalNames: FindOriginalNames = (modules) => {
  const names = new Map(fromTable(modules).entries().map(([name, { modules }]) => [name, { modules }]));
  for (const module of modules) {
    names.set(module, { modules: [module] });
    if (module.startsWith("transformer_blocks.")) {
      names.set(module.slice("tran".length), { modules: [module] });
    }
  }
  return names;
};
