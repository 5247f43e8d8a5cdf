// The flags --offload and --vae-tiling, which trade time for memory in every command that makes pictures.
import type { OpenPipelineOptions } from "../model/open_pipeline_options.ts";
import type { FlagKind, Flags } from "../../protocol/process/read_flags.ts";

export const MEMORY_FLAGS = {
  "offload": "switch",
  "vae-tiling": "switch",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const MEMORY_HELP = `\
  --offload                load text encoders, denoiser and VAE only while they run: less memory, slower
  --vae-tiling             decode in tiles of the VAE's training size (always above 2048 pixels a side)`;

export type MemoryOptions = Required<Pick<OpenPipelineOptions, "offload" | "vaeTiling">>;

export function readMemoryFlags(flags: Flags<typeof MEMORY_FLAGS>): MemoryOptions {
  return { offload: flags.offload, vaeTiling: flags["vae-tiling"] };
}

/** Returns the flags as command-line arguments. */
export function memoryArguments({ offload, vaeTiling }: MemoryOptions): string[] {
  return [...offload ? ["--offload"] : [], ...vaeTiling ? ["--vae-tiling"] : []];
}
