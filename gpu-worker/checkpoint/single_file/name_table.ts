// A layout as a table of names. Most networks differ from diffusers' in names alone.
import type { FindPlace, Place } from "./layout.ts";

/** diffusers' name, or the names whose rows follow each other, or a place. `*` repeats the file's numbers. */
export type Target = string | readonly string[] | Place;

export interface NameTable {
  /**
   * File's module -> diffusers' modules. Applies to the tensors `.weight` and `.bias` of a
   * module. `*` is a number.
   */
  modules?: Readonly<Record<string, Target>>;
  /** File's tensor -> diffusers' tensors, for tensors with other endings. */
  tensors?: Readonly<Record<string, Target>>;
  /** Names of tensors that no run reads. */
  unused?: RegExp;
}

const MODULE = /^(.+)\.(weight|bias)$/s;

/** Returns a function that looks up places in `table`. */
export function findInTable({ modules = {}, tensors = {}, unused }: NameTable): FindPlace {
  const findModule = matcher(modules);
  const findTensor = matcher(tensors);
  return (name) => {
    const [, module = "", suffix] = MODULE.exec(name) ?? [];
    const found = findTensor(name, "") ?? (suffix && findModule(module, `.${suffix}`));
    return found || (unused?.test(name) ? "unused" : undefined);
  };
}

function matcher(
  table: Readonly<Record<string, Target>>,
): (name: string, suffix: string) => Place | undefined {
  const rules = Object.entries(table).map(([pattern, target]) => ({
    pattern: numberPattern(pattern),
    place: placeOf(target),
  }));
  return (name, suffix) => {
    for (const { pattern, place } of rules) {
      const match = pattern.exec(name);
      if (match === null) continue;
      return { ...place, to: place.to.map((target) => fill(target, match.slice(1)) + suffix) };
    }
    return undefined;
  };
}

/** Returns a pattern of names. Its groups are the numbers in the places of `*`. */
export function numberPattern(name: string): RegExp {
  return new RegExp(`^${name.replaceAll(".", "\\.").replaceAll("*", "(\\d+)")}$`);
}

/** Returns the place that `target` writes in short. */
export function placeOf(target: Target): Place {
  if (typeof target === "string") return { to: [target] };
  return "to" in target ? target : { to: target };
}

/** Returns `target` with numbers in the places of `*`. */
export function fill(target: string, numbers: readonly string[]): string {
  let i = 0;
  return target.replaceAll("*", () => numbers[i++]!);
}
