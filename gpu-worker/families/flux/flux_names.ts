// The names of black-forest-labs/flux for the layers of FLUX.1, in single files and in LoRAs.
import { type FindOriginalNames, originalNames } from "../../checkpoint/lora/original_names.ts";
import { FLUX_BLOCK_NAMES, FLUX_PROCESSOR_NAMES } from "../../checkpoint/single_file/flux_block_names.ts";
import type { NameTable } from "../../checkpoint/single_file/name_table.ts";

const embedder = (file: string, ours: string) => ({
  [`${file}.in_layer`]: `time_text_embed.${ours}.linear_1`,
  [`${file}.out_layer`]: `time_text_embed.${ours}.linear_2`,
});

export const FLUX_NAMES: NameTable = {
  modules: {
    ...FLUX_BLOCK_NAMES.modules,
    ...embedder("time_in", "timestep_embedder"),
    ...embedder("vector_in", "text_embedder"),
    ...embedder("guidance_in", "guidance_embedder"),
    "double_blocks.*.img_mod.lin": "transformer_blocks.*.norm1.linear",
    "double_blocks.*.txt_mod.lin": "transformer_blocks.*.norm1_context.linear",
    "single_blocks.*.modulation.lin": "single_transformer_blocks.*.norm.linear",
    // The original computes shift and scale, diffusers scale and shift.
    "final_layer.adaLN_modulation.1": { to: ["norm_out.linear"], order: "swapped" },
  },
  tensors: FLUX_BLOCK_NAMES.tensors,
};

export const fluxOriginalNames: FindOriginalNames = originalNames(FLUX_NAMES, { more: FLUX_PROCESSOR_NAMES });
