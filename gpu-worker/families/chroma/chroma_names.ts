// The names of lodestone-rock/flow for the layers of Chroma: FLUX's, and those of the approximator.
import { type FindOriginalNames, originalNames } from "../../checkpoint/lora/original_names.ts";
import {
  FLUX_BLOCK_NAMES,
  FLUX_PROCESSOR_NAMES,
  NORM_ENDINGS,
} from "../../checkpoint/single_file/flux_block_names.ts";
import type { NameTable } from "../../checkpoint/single_file/name_table.ts";

/** The network that computes the modulations of all blocks. */
export const APPROXIMATOR = "distilled_guidance_layer";

export const CHROMA_NAMES: NameTable = {
  modules: {
    ...FLUX_BLOCK_NAMES.modules,
    [`${APPROXIMATOR}.in_proj`]: `${APPROXIMATOR}.in_proj`,
    [`${APPROXIMATOR}.out_proj`]: `${APPROXIMATOR}.out_proj`,
    [`${APPROXIMATOR}.layers.*.in_layer`]: `${APPROXIMATOR}.layers.*.linear_1`,
    [`${APPROXIMATOR}.layers.*.out_layer`]: `${APPROXIMATOR}.layers.*.linear_2`,
  },
  tensors: {
    ...FLUX_BLOCK_NAMES.tensors,
    ...Object.fromEntries(
      NORM_ENDINGS.map((ending) => [`${APPROXIMATOR}.norms.*.${ending}`, `${APPROXIMATOR}.norms.*.weight`]),
    ),
  },
};

export const chromaOriginalNames: FindOriginalNames = originalNames(CHROMA_NAMES, {
  more: FLUX_PROCESSOR_NAMES,
});
