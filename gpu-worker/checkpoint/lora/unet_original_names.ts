// Original names of Stable Diffusion and SDXL (Stability-AI/generative-models) for the modules of a
// UNet2DConditionModel. They number the resnets, attentions and resamplers of all blocks consecutively.
import type { OriginalNames } from "./original_names.ts";

const OUTER: Readonly<Record<string, string>> = {
  "conv_in": "input_blocks.0.0",
  "time_embedding.linear_1": "time_embed.0",
  "time_embedding.linear_2": "time_embed.2",
  "add_embedding.linear_1": "label_emb.0.0",
  "add_embedding.linear_2": "label_emb.0.2",
  "conv_out": "out.2",
};
const RESNET: Readonly<Record<string, string>> = {
  "conv1": "in_layers.2",
  "time_emb_proj": "emb_layers.1",
  "conv2": "out_layers.3",
  "conv_shortcut": "skip_connection",
};
const MODULE =
  /^(down|mid|up)_blocks?\.(?:(\d+)\.)?(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$/;

export function unetOriginalNames(modules: readonly string[]): OriginalNames {
  const known = new Set(modules);
  const layers = modules.filter((module) => /^down_blocks\.0\.resnets\.\d+\.conv1$/.test(module)).length;
  const names = new Map<string, string[]>();
  for (const module of modules) {
    const name = OUTER[module] ?? blockName(module, { layers, known });
    if (name !== undefined) names.set(name, [module]);
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
