// --lora, which several commands take.
import { type Lora, parseLora } from "../pipelines/lora/lora.ts";
import type { FlagKind, Flags } from "./read_flags.ts";
import { UsageError } from "./usage_error.ts";

export const LORA_FLAGS = { "lora": "texts" } as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const LORA_HELP = `\
  --lora FILE[:WEIGHT]     adds a LoRA (.safetensors; peft's, diffusers' or kohya's names); may be given several times (1)`;

/** @throws {UsageError} naming the value that is no LoRA. */
export function readLoras(flags: Flags<typeof LORA_FLAGS>): Lora[] {
  return flags.lora.map((text) => {
    try {
      return parseLora(text);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new UsageError(`--lora must be FILE or FILE:WEIGHT: current value is '${text}'`);
    }
  });
}
