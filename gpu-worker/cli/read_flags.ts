// Typed flags on @std/cli: unknown flags, missing values and malformed numbers are usage errors that name the flag.
import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "./usage_error.ts";

/** How a flag's value is read. */
export type FlagKind = "text" | "number" | "switch";

type FlagValue<K extends FlagKind> = K extends "text" ? string : K extends "number" ? number : boolean;

/** A switch is false unless given; other flags are undefined unless given. */
export type Flags<S extends Record<string, FlagKind>> = {
  [F in keyof S]: S[F] extends "switch" ? boolean : FlagValue<S[F]> | undefined;
};

/**
 * Reads `args` (`--name value`, `--name=value`, `--switch`) by `spec`.
 * @throws {UsageError} naming the flag and what is wrong with it.
 */
export function readFlags<const S extends Record<string, FlagKind>>(
  args: readonly string[],
  spec: S,
): Flags<S> {
  const names = Object.keys(spec);
  const parsed: Record<string, unknown> = parseArgs(joinValues(args, spec), {
    string: names.filter((name) => spec[name] !== "switch"),
    boolean: names.filter((name) => spec[name] === "switch"),
    collect: names.filter((name) => spec[name] !== "switch"),
    unknown: (arg: string) => {
      throw new UsageError(`unknown argument '${arg}'; --help lists what there is`);
    },
  });
  const flags = names.map((name) => [name, readFlag(name, spec[name]!, parsed[name])]);
  return Object.fromEntries(flags) as Flags<S>;
}

/** `--name -1` to `--name=-1`: parseArgs would take the value for a flag. */
function joinValues(args: readonly string[], spec: Record<string, FlagKind>): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const kind = arg.startsWith("--") ? spec[arg.slice(2)] : undefined;
    const takesNext = kind !== undefined && kind !== "switch" && i + 1 < args.length &&
      !args[i + 1]!.startsWith("--");
    joined.push(takesNext ? `${arg}=${args[++i]}` : arg);
  }
  return joined;
}

function readFlag(name: string, kind: FlagKind, given: unknown): unknown {
  if (kind === "switch") return given === true;
  const values = (given ?? []) as string[];
  if (values.length > 1) throw new UsageError(`--${name} is given ${values.length} times`);
  const [text] = values;
  if (text === undefined || kind === "text") return text;
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number)) {
    throw new UsageError(`--${name} takes a number: current value is '${text}'`);
  }
  return number;
}
