// Describes an option for help texts and OpenAPI.

import { METHOD_NAMES, METHODS } from "./methods.ts";
import type { Option } from "./option_table.ts";

/**
 * Returns the methods that read the option, its meaning, its range and its defaults.
 *
 * @example
 * ```ts
 * import { describeOption } from "./describe_option.ts";
 * import { OPTIONS } from "./option_table.ts";
 * describeOption(OPTIONS.at(-1)!); // "taylorseer: highest order of the finite differences, 1..2 (1)"
 * ```
 */
export function describeOption({ name, methods, help, min, max, default: common }: Option): string {
  const own = METHOD_NAMES.flatMap((method) => {
    const value = METHODS[method].defaults?.[name];
    return value === undefined ? [] : [`${method} ${value}`];
  });
  const range = max === undefined ? `>= ${min}` : `${min}..${max}`;
  return `${methods ? `${methods.join(", ")}: ` : ""}${help}, ${range} (${[common, ...own].join("; ")})`;
}
