// Typed flags on @std/cli. Unknown flags, missing values and
// malformed numbers are usage errors that name the flag.
import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "../../protocol/process/usage_error.ts";

/**
 * How a flag's value is read. "texts" may be repeated. An "operand"
 * is an argument without a flag; a command has at most one.
 */
export type FlagKind = "text" | "texts" | "number" | "switch" | "operand";

type FlagValue<K extends FlagKind> = K extends "switch" ? boolean : K extends "number" ? number : string;

/**
 * The parsed flags. A switch that is absent is false, absent
 * texts are [], all other absent flags are undefined.
 */
export type Flags<S extends Record<string, FlagKind>> = {
  [F in keyof S]: S[F] extends "switch" ? boolean
    : S[F] extends "texts" ? string[]
    : FlagValue<S[F]> | undefined;
};

/**
 * Parses `args` (`--name value`, `--name=value`, `--switch`) by `spec`.
 * @throws {UsageError} naming the flag and the fault.
 */
export function readFlags<const S extends Record<string, FlagKind>>(
  args: readonly string[],
  spec: S,
): Flags<S> {
  const names = Object.keys(spec);
  const operand = names.find((name) => spec[name] === "operand");
  const operands: string[] = [];
  const parsed: Record<string, unknown> = parseArgs(joinValues(args, spec), {
    string: names.filter((name) => takesValue(spec[name])),
    boolean: names.filter((name) => spec[name] === "switch"),
    collect: names.filter((name) => takesValue(spec[name])),
    unknown: (arg: string) => {
      if (operand === undefined || operands.length > 0 || arg.startsWith("-")) {
        throw new UsageError(`unknown argument '${arg}'; --help lists what there is`);
      }
      operands.push(arg);
    },
  });
  const flags = names.map((
    name,
  ) => [name, readFlag(name, spec[name]!, name === operand ? operands : parsed[name])]);
  return Object.fromEntries(flags) as Flags<S>;
}

function takesValue(kind: FlagKind | undefined): boolean {
  return kind === "text" || kind === "texts" || kind === "number";
}

/** Turns `--name -1` into `--name=-1`, as parseArgs would read -1 as a flag. */
function joinValues(args: readonly string[], spec: Record<string, FlagKind>): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const kind = arg.startsWith("--") ? spec[arg.slice(2)] : undefined;
    const takesNext = takesValue(kind) && i + 1 < args.length &&
      !args[i + 1]!.startsWith("--");
    joined.push(takesNext ? `${arg}=${args[++i]}` : arg);
  }
  return joined;
}

function readFlag(name: string, kind: FlagKind, given: unknown): unknown {
  if (kind === "switch") return given === true;
  const values = (given ?? []) as string[];
  if (kind === "texts") return values;
  if (values.length > 1) throw new UsageError(`--${name} is given ${values.length} times`);
  const [text] = values;
  if (text === undefined || kind !== "number") return text;
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number)) {
    throw new UsageError(`--${name} must be a number: current value is '${text}'`);
  }
  return number;
}
