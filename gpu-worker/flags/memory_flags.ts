// --offload and --vae-tiling, which trade time for memory in every command that draws.
import type { OpenPipelineOptions } from "../model/open_pipeline.ts";
import type { FlagKind, Flags } from "./read_flags.ts";

export const MEMORY_FLAGS = {
  "offload": "switch",
  "vae-tiling": "switch",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const MEMORY_HELP = `\
  --offload                hold text encoders, denoiser and VAE in memory in turn: less memory, more loading
  --vae-tiling             decode in tiles of the size that the VAE was trained for (above 2048 pixels a side: always)`;

export type MemoryOptions = Required<Pick<OpenPipelineOptions, "offload" | "vaeTiling">>;

export function readMemoryFlags(flags: Flags<typeof MEMORY_FLAGS>): MemoryOptions {
  return { offload: flags.offload, vaeTiling: flags["vae-tiling"] };
}

/** The same as a command line. */
export function memoryArguments({ offload, vaeTiling }: MemoryOptions): string[] {
  return [...offload ? ["--offload"] : [], ...vaeTiling ? ["--vae-tiling"] : []];
}
