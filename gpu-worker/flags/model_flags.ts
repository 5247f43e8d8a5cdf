// The flags --model, --controlnet and --lora, shared by several commands. Together they form a model's name.
import { UsageError } from "../../protocol/process/usage_error.ts";
import { EMBEDDED_MODELS } from "../checkpoint/embedded_models.ts";
import { formatControlNet, formatLora, type Lora, parseLora } from "../../protocol/wire/model_name.ts";
import type { FlagKind, Flags } from "../../protocol/process/read_flags.ts";

export const MODEL_FLAGS = {
  "model": "text",
  "lora": "texts",
  "controlnet": "text",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const MODEL_HELP = `\
  --model DIR | FILE | ORG/NAME   diffusers checkpoint, single file, or Hugging Face cache snapshot
                           (SPECTRUM_MODEL, or models/emoji)
  --lora FILE[:WEIGHT]     LoRA with peft's, diffusers' or kohya's names (weight 1); repeat to add several;
                           FILE@2[:WEIGHT] is for Wan2.2's second expert
  --controlnet DIR | ORG/NAME   ControlNet in diffusers' layout, for Stable Diffusion, SDXL and FLUX.1`;

type ReadVariable = (name: string) => string | undefined;

/** Returns the model of a command that names none: SPECTRUM_MODEL, or the embedded one for pictures. */
export function defaultModel(env: ReadVariable = (name) => Deno.env.get(name)): string {
  return env("SPECTRUM_MODEL") || EMBEDDED_MODELS[0];
}

/**
 * Returns the model's name, MODEL+controlnet:DIR+FILE:WEIGHT+..., which `parseModelName` reads.
 * @throws {UsageError} naming the value that is no LoRA or no ControlNet.
 */
export function readModelName(
  { model = defaultModel(), lora, controlnet }: Flags<typeof MODEL_FLAGS>,
): string {
  return [
    model,
    ...controlnet === undefined ? [] : [formatControlNet(readControlNet(controlnet))],
    ...lora.map((text) => formatLora(readLora(text))),
  ].join("+");
}

function readControlNet(text: string): string {
  if (/^[^+,]+$/.test(text)) return text;
  throw new UsageError(
    `--controlnet must be a folder or ORG/NAME without '+' or ',': current value is '${text}'`,
  );
}

function readLora(text: string): Lora {
  let lora: Lora;
  try {
    lora = parseLora(text);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UsageError(`--lora must be FILE or FILE:WEIGHT: current value is '${text}'`);
  }
  if (/^[^+,]+\.safetensors$/.test(lora.path)) return lora;
  throw new UsageError(
    `--lora must be a .safetensors file without '+' or ',' in its path: current value is '${text}'`,
  );
}
