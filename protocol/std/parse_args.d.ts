// The part of @std/cli's parseArgs that we use. tests/protocol/std/std_test.ts checks these declarations
// against the real behaviour.

/** Options of `parseArgs`. A flag that no option names is text, a number or true. */
export interface ParseOptions<S extends string, B extends string, C extends string, D extends object> {
  /** Flags whose values stay text. "_" does the same for operands. */
  string?: readonly S[];
  /** Switches. */
  boolean?: readonly B[];
  /** Flags that may be given several times. */
  collect?: readonly C[];
  /** Values of flags that are not given. */
  default?: D;
  /** Called with each argument that no option names. */
  unknown?: (arg: string) => unknown;
}

/** Text of a flag, which is undefined where it is neither given nor has a default. */
type Text<K, D> = K extends keyof D ? string | D[K] : string | undefined;

/** The parsed arguments. They have no properties for names that no option has. */
export type Args<S extends string, B extends string, C extends string, D extends object> =
  & { _: "_" extends S ? string[] : (string | number)[] }
  & { [K in Exclude<S, C | "_">]: Text<K, D> }
  & { [K in Exclude<B, C>]: boolean }
  & { [K in C]: K extends S ? string[] : unknown[] }
  & { [K in Exclude<keyof D, S | B | C>]: unknown };

/** Reads command-line arguments: `--name value`, `--name=value`, `--switch`. */
export function parseArgs<
  const S extends string = never,
  const B extends string = never,
  const C extends string = never,
  // deno-lint-ignore ban-types
  D extends object = {},
>(args: readonly string[], options?: ParseOptions<S, B, C, D>): Args<S, B, C, D>;
