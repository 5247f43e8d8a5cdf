// The flags --components, --vae, --text-encoder and --transformer-2: what completes a model in a single file.
import { UsageError } from "../../protocol/process/usage_error.ts";
import { PART_COMPONENTS, type PartComponent, type PartFiles } from "../checkpoint/part_files.ts";
import type { FlagKind, Flags } from "../../protocol/process/read_flags.ts";

export const PART_FLAGS = {
  "components": "text",
  "vae": "text",
  "text-encoder": "text",
  "text-encoder-2": "text",
  "text-encoder-3": "text",
  "transformer-2": "text",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const PART_HELP = `\
  --components DIR | ORG/NAME   configs, tokenizers and networks that a single file lacks
                           (where it was published)
  --vae FILE --text-encoder FILE --text-encoder-2 FILE --text-encoder-3 FILE
                           networks from files of their own
  --transformer-2 FILE          Wan2.2's expert of low noise; --model is that of high noise`;

type PartFlag = Exclude<keyof typeof PART_FLAGS, "components">;

const flagOf = (component: PartComponent) => component.replaceAll("_", "-") as PartFlag;

/** Returns the parts that the flags name. @throws {UsageError} if a flag has an empty value. */
export function readPartFlags(flags: Flags<typeof PART_FLAGS>): PartFiles {
  const given = [
    ["components", flags.components, "components"],
    ...PART_COMPONENTS.map((component) => [component, flags[flagOf(component)], flagOf(component)]),
  ] as [keyof PartFiles, string | undefined, string][];
  const empty = given.find(([, value]) => value === "");
  if (empty !== undefined) throw new UsageError(`--${empty[2]} must not be empty`);
  return Object.fromEntries(given.flatMap(([part, value]) => value === undefined ? [] : [[part, value]]));
}

/** Returns the flags as command-line arguments. */
export function partArguments({ components, ...files }: PartFiles): string[] {
  return [
    ...components === undefined ? [] : ["--components", components],
    ...PART_COMPONENTS.flatMap((component) => {
      const file = files[component];
      return file === undefined ? [] : [`--${flagOf(component)}`, file];
    }),
  ];
}
