// Parses a model's name with LoRAs and ControlNets: MODEL+FILE.safetensors[:WEIGHT]+controlnet:DIR+...
// (docs/decisions/0010-loras-belong-to-a-model.md).

export interface Lora {
  /** A .safetensors file with peft's, diffusers' or kohya's names. */
  path: string;
  /** Factor of the file's own scale (alpha / rank). Negative weights subtract. */
  weight: number;
  /** Whether the file is for the second of a checkpoint's two denoisers. @default false */
  second?: boolean;
}

/** Formats a LoRA as FILE[@2][:WEIGHT], without the weight if it is 1. */
export function formatLora({ path, weight, second = false }: Lora): string {
  return `${path}${second ? SECOND : ""}${weight === 1 ? "" : `:${weight}`}`;
}

/** Marks a LoRA of the second denoiser. */
const SECOND = "@2";

/**
 * Parses FILE[@2][:WEIGHT]. The default weight is 1.
 * @throws {RangeError} if there is no file, or no number after the last colon.
 */
export function parseLora(text: string): Lora {
  const [, path = "", second, number] = /^(.*?)(@2)?(?::([^:/\\]*))?$/s.exec(text)!;
  const weight = number === undefined ? 1 : number.trim() === "" ? NaN : Number(number);
  if (path === "" || !Number.isFinite(weight)) {
    throw new RangeError(`Cannot read LoRA as it must be FILE or FILE:WEIGHT: current value is '${text}'`);
  }
  return { path, weight, ...second && { second: true } };
}

export interface ModelName {
  /** A directory, or ORG/NAME. */
  name: string;
  /** LoRAs in the order of the name. */
  loras: Lora[];
  /** ControlNets in the order of the name: directories, or ORG/NAME. @default none */
  controlNets?: string[];
}

/** Formats a ControlNet as a part of a model's name. */
export function formatControlNet(controlNet: string): string {
  return `${CONTROL_NET}${controlNet}`;
}

/** Returns the name that requests give to a ControlNet: the last part of its path, without a revision. */
export function controlNetName(controlNet: string): string {
  return /([^/\\]+)[/\\]*$/.exec(controlNet)![1]!.replace(/(?<=.)@.*$/s, "");
}

/** Marks a ControlNet in a model's name. */
const CONTROL_NET = "controlnet:";
const LAST_CONTROL_NET = /^(.+)\+controlnet:([^+]+)$/s;

/**
 * A plus sign starts a LoRA only before the name of a .safetensors file, as folder names may contain one.
 */
const LAST_LORA = /^(.+)\+([^+]+\.safetensors(?:@2)?(?::[^+:/\\]*)?)$/s;

/**
 * Splits a model's name into the model, its LoRAs and its ControlNets. @throws {RangeError} if a
 * weight is no number.
 */
export function parseModelName(model: string): ModelName {
  const loras: Lora[] = [];
  const controlNets: string[] = [];
  for (let name = model;;) {
    const controlNet = LAST_CONTROL_NET.exec(name);
    const lora = controlNet ? null : LAST_LORA.exec(name);
    if (controlNet) controlNets.unshift(controlNet[2]!);
    else if (lora) loras.unshift(parseLora(lora[2]!));
    else return { name, loras, ...controlNets.length > 0 && { controlNets } };
    name = (controlNet ?? lora)![1]!;
  }
}
