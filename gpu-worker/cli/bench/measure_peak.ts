// Measures the peak memory of one picture in a process of its own.
import { join } from "node:path";
import type { PartFiles } from "../../checkpoint/part_files.ts";
import { partArguments } from "../../flags/part_flags.ts";
import type { PartialRequest } from "../../request/generate_request.ts";

export interface MeasurePeakOptions {
  parts?: PartFiles | undefined;
  sampler: PartialRequest["sampler"];
  signal: AbortSignal;
}

const GENERATE = new URL("../generate.ts", import.meta.url).pathname;

/**
 * Returns the peak in bytes, as `deno task generate --json` reports it.
 * @throws {Error} with the last line that the process printed.
 */
export async function measurePeak(
  model: string,
  { parts = {}, sampler, signal }: MeasurePeakOptions,
): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "spectrum-bench-" });
  try {
    const { method, windowSize, warmupSteps, flexWindow } = sampler ?? {};
    const flag = (name: string, value: number | undefined) =>
      value === undefined ? [] : [name, String(value)];
    const flags = [
      ...method === undefined ? [] : ["--method", method],
      ...flag("--window-size", windowSize),
      ...flag("--warmup-steps", warmupSteps),
      ...flag("--flex-window", flexWindow),
    ];
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "-P=model", GENERATE],
        ...partArguments(parts),
        ...["--model", model, "--prompt", "red heart", "--seed", "42", ...flags],
        ...["--json", "--out", join(folder, "picture.png")],
      ],
      stdout: "piped",
      stderr: "piped",
      signal,
    });
    const { success, stdout, stderr } = await command.output();
    const text = new TextDecoder();
    if (!success) {
      throw new Error(`Cannot measure ${model}: ${text.decode(stderr).trim().split("\n").at(-1)}`);
    }
    return JSON.parse(text.decode(stdout)).peakMemoryBytes;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
