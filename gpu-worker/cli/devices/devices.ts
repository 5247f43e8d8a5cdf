// `deno task devices`: lists what this machine offers to each execution provider, and the
// remedy where that is nothing.
import { type FlagKind, readFlags } from "../../../protocol/process/read_flags.ts";
import { describeDevice, type DeviceDescription } from "../../runtime/mod.ts";

const HELP = `Usage: deno task devices [options]

  --json   print one JSON object a line on stdout
`;

export const DEVICES_FLAGS = { "json": "switch", "help": "switch" } as const satisfies Record<
  string,
  FlagKind
>;

const PROVIDERS = ["cpu", "cuda", "webgpu"] as const;

export async function devices(args: string[]): Promise<void> {
  const { help, json } = readFlags(args, DEVICES_FLAGS);
  if (help) return console.log(HELP);
  for (const provider of PROVIDERS) {
    const device = await describeDevice(provider);
    console.log(json ? JSON.stringify(device) : linesOf(device));
  }
}

/** Returns the lines for a reader. */
export function linesOf(
  { provider, name = "no device found", memoryBytes, dtypes, driver, problem }: DeviceDescription,
): string {
  const memory = memoryBytes === undefined ? undefined : `${(memoryBytes / 2 ** 30).toFixed(1)} GiB`;
  const facts = [name, memory, driver].filter((fact) => fact !== undefined).join(", ");
  const state = problem ?? `--dtype ${dtypes.join(" | ")}`;
  return `--device ${provider}: ${facts}\n  ${state}`;
}
