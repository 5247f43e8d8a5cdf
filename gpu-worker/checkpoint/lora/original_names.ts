// The layer names of a network's own repository, which kohya's LoRAs use. They come from the table that
// the network's single files are read by. Source: diffusers' lora_conversion_utils.py and
// single_file_utils.py, in reverse.
import { fill, type NameTable, numberPattern, placeOf } from "../single_file/name_table.ts";

/** A layer of the original network. */
export interface OriginalLayer {
  /** diffusers' modules in the layer, in the order of their rows (q, k, v). */
  modules: readonly string[];
  /** Whether the original has the two halves of the rows in reverse order. @default false */
  swapped?: boolean;
}

/** Original name -> layer. */
export type OriginalNames = ReadonlyMap<string, OriginalLayer>;

/** Returns the original names of a checkpoint's modules. */
export type FindOriginalNames = (modules: readonly string[]) => OriginalNames;

export interface OriginalNamesOptions {
  /** Names that LoRA files use and single files do not. @default none */
  more?: NameTable["modules"];
  /** Names of the table that no LoRA file uses. @default none */
  without?: RegExp;
  /** Whether LoRA files use diffusers' own names without a prefix too. @default false */
  own?: boolean;
}

/** Derives the original names of LoRAs from the table of single files. */
export function originalNames(
  { modules: table }: Pick<NameTable, "modules">,
  { more, without, own = false }: OriginalNamesOptions = {},
): FindOriginalNames {
  const rules = Object.entries({ ...table, ...more }).filter(([original]) => !without?.test(original))
    .flatMap(([original, target]) => {
      const { to, order } = placeOf(target);
      return to.filter((module) => module !== original)
        .map((module) => ({ pattern: numberPattern(module), original, swapped: order === "swapped" }));
    });
  return (modules) => {
    const names = new Map<string, OriginalLayer>();
    for (const { pattern, original, swapped } of rules) {
      for (const module of modules) {
        const numbers = pattern.exec(module)?.slice(1);
        if (numbers === undefined) continue;
        const name = fill(original, numbers);
        names.set(name, { modules: [...names.get(name)?.modules ?? [], module], swapped });
      }
    }
    if (own) { for (const module of modules) names.set(module, { modules: [module] }); }
    return names;
  };
}
