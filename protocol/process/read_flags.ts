// Typed flags on @std/cli. Unknown flags, missing values and
// malformed numbers are usage errors that name the flag.
import { parseArgs } from "@std/cli/parse-args";
import { nearestName } from "./nearest_name.ts";
import { UsageError } from "./usage_error.ts";

/**
 * How a flag's value is read. "texts" may be repeated. An "operand" is an argument without a flag, "operands"
 * are any number of them, and "text-or-operand" is either. A command has at most one of these three.
 */
export type FlagKind = "text" | "texts" | "number" | "switch" | "operand" | "operands" | "text-or-operand";

type FlagValue<K extends FlagKind> = K extends "switch" ? boolean : K extends "number" ? number : string;

/**
 * The parsed flags. A switch that is absent is false, absent
 * texts are [], all other absent flags are undefined.
 */
export type Flags<S extends Record<string, FlagKind>> = {
  [F in keyof S]: S[F] extends "switch" ? boolean
    : S[F] extends "texts" | "operands" ? string[]
    : FlagValue<S[F]> | undefined;
};

/**
 * Parses `args` (`--name value`, `--name=value`, `--switch`, `-h` for `--help`) by `spec`. A leading `--` is
 * ignored, since `deno task NAME -- ARGS` passes it on. Everything behind another `--` is an operand.
 * @throws {UsageError} naming the flag and the fault.
 */
export function readFlags<const S extends Record<string, FlagKind>>(
  args: readonly string[],
  spec: S,
): Flags<S> {
  const names = Object.keys(spec);
  const operand = names.find((name) => spec[name]!.includes("operand"));
  const operands: string[] = [];
  const { flagged, rest } = splitArguments(args);
  const takeOperand = (arg: string) => {
    if (operand === undefined) throw new UsageError(`unknown argument '${arg}'; --help lists what there is`);
    if (operands.length > 0 && spec[operand] !== "operands") {
      throw new UsageError(
        `unknown argument '${arg}' after '${operands[0]}'. Try quotes around text that has spaces.`,
      );
    }
    operands.push(arg);
  };
  flagged.forEach((arg) => assertSwitch(arg, spec));
  const parsed: Record<string, unknown> = parseArgs(joinValues(flagged, spec), {
    string: names.filter((name) => takesValue(spec[name])),
    boolean: names.filter((name) => spec[name] === "switch"),
    collect: names.filter((name) => takesValue(spec[name])),
    unknown: (arg: string) => {
      if (arg.startsWith("-") && arg !== "-") throw unknownFlag(arg, names);
      takeOperand(arg);
    },
  });
  rest.forEach(takeOperand);
  const valuesOf = (name: string) => {
    if (name !== operand) return parsed[name];
    return spec[name] !== "text-or-operand" ? operands : [...parsed[name] as string[] ?? [], ...operands];
  };
  const flags = names.map((name) => [name, readFlag(name, spec[name]!, valuesOf(name))]);
  return Object.fromEntries(flags) as Flags<S>;
}

function takesValue(kind: FlagKind | undefined): boolean {
  return kind === "text" || kind === "texts" || kind === "number" || kind === "text-or-operand";
}

/** Splits at the first `--` that is not the first argument. */
function splitArguments(args: readonly string[]): { flagged: readonly string[]; rest: readonly string[] } {
  const own = args[0] === "--" ? args.slice(1) : args;
  const end = own.indexOf("--");
  return end < 0 ? { flagged: own, rest: [] } : { flagged: own.slice(0, end), rest: own.slice(end + 1) };
}

/** parseArgs takes any value of a switch but false for on: --overwrite=no would overwrite. */
function assertSwitch(arg: string, spec: Record<string, FlagKind>): void {
  const [, name, value] = /^--([\w-]+)=(.*)$/s.exec(arg) ?? [];
  if (name === undefined || !Object.hasOwn(spec, name) || spec[name] !== "switch") return;
  if (value === "true" || value === "false") return;
  throw new UsageError(`--${name} must be true or false where it has a value: current value is '${value}'`);
}

function unknownFlag(arg: string, names: readonly string[]): UsageError {
  const nearest = arg.startsWith("--") ? nearestName(arg.slice(2).split("=")[0]!, names) : undefined;
  const advice = nearest === undefined ? "--help lists what there is" : `did you mean --${nearest}?`;
  return new UsageError(`unknown argument '${arg}'; ${advice}`);
}

/** Turns `--name -1` into `--name=-1`, as parseArgs would read -1 as a flag, and `-h` into `--help`. */
function joinValues(args: readonly string[], spec: Record<string, FlagKind>): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] === "-h" && spec.help === "switch" ? "--help" : args[i]!;
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
  if (kind === "texts" || kind === "operands") return values;
  if (values.length > 1) throw new UsageError(`--${name} is given ${values.length} times`);
  const [text] = values;
  if (text === undefined || kind !== "number") return text;
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number)) {
    throw new UsageError(`--${name} must be a number: current value is '${text}'`);
  }
  return number;
}
