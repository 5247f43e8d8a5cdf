// --model and --lora, which several commands take: together they are a model's name.
import { UsageError } from "../../protocol/process/usage_error.ts";
import { formatLora, type Lora, parseLora } from "../checkpoint/model_name.ts";
import type { FlagKind, Flags } from "./read_flags.ts";

export const MODEL_FLAGS = { "model": "text", "lora": "texts" } as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const MODEL_HELP = `\
  --model DIR | ORG/NAME   diffusers checkpoint or Hugging Face cache snapshot (models/emoji)
  --lora FILE[:WEIGHT]     LoRA in peft's, diffusers' or kohya's naming, weight 1 unless given; several add up`;

/**
 * MODEL+FILE:WEIGHT+..., as `parseModelName` reads it.
 * @throws {UsageError} naming the value that is no LoRA.
 */
export function readModelName({ model = "models/emoji", lora }: Flags<typeof MODEL_FLAGS>): string {
  return [model, ...lora.map((text) => formatLora(readLora(text)))].join("+");
}

function readLora(text: string): Lora {
  let lora: Lora;
  try {
    lora = parseLora(text);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UsageError(`--lora takes FILE or FILE:WEIGHT: current value is '${text}'`);
  }
  if (/^[^+,]+\.safetensors$/.test(lora.path)) return lora;
  throw new UsageError(
    `--lora takes a file that ends in .safetensors, without '+' and ',' in its path: current value is '${text}'`,
  );
}
