// Original names of Stable Diffusion and SDXL (Stability-AI/generative-models) for the modules of a
// UNet2DConditionModel. They number the resnets, attentions and resamplers of all blocks consecutively.
import type { OriginalLayer, OriginalNames } from "../../checkpoint/lora/original_names.ts";
import { OUTER_NAMES, RESNET_NAMES } from "./compvis_names.ts";

const inverse = (names: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(names).map(([original, ours]) => [ours, original]));
const OUTER = inverse(OUTER_NAMES);
const RESNET = inverse(RESNET_NAMES);
const MODULE =
  /^(down|mid|up)_blocks?\.(?:(\d+)\.)?(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$/;

export function unetOriginalNames(modules: readonly string[]): OriginalNames {
  const known = new Set(modules);
  const layers = modules.filter((module) => /^down_blocks\.0\.resnets\.\d+\.conv1$/.test(module)).length;
  const names = new Map<string, OriginalLayer>();
  for (const module of modules) {
    const name = OUTER[module] ?? blockName(module, { layers, known });
    if (name !== undefined) names.set(name, { modules: [module] });
  }
  return names;
}

function blockName(
  module: string,
  { layers, known }: { layers: number; known: ReadonlySet<string> },
): string | undefined {
  const [, side, block, kind, layer, inner = ""] = MODULE.exec(module) ?? [];
  const first = Number(block) * (layers + 1);
  const rest = kind === "resnets" ? RESNET[inner] : inner;
  if (rest === undefined || kind === undefined) return undefined;
  const isResnet = kind === "resnets";
  if (side === "mid") return `middle_block.${isResnet ? 2 * Number(layer) : 1}.${rest}`;
  if (kind === "downsamplers") return `input_blocks.${first + layers + 1}.0.op`;
  if (kind === "upsamplers") {
    // The upsampler follows the last resnet, and the attention if the block has one.
    const sub = known.has(`up_blocks.${block}.attentions.0.proj_in`) ? 2 : 1;
    return `output_blocks.${first + layers}.${sub}.conv`;
  }
  const index = first + Number(layer);
  const sub = isResnet ? 0 : 1;
  return side === "down"
    ? `input_blocks.${index + 1}.${sub}.${rest}`
    : `output_blocks.${index}.${sub}.${rest}`;
}
