// CompVis' names of a UNet. They count resnets, attentions and resamplers of all blocks consecutively.
import { DENOISER_PREFIXES, type FindPlace, type Layout } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { OUTER_NAMES, RESNET_NAMES } from "./compvis_names.ts";

const OUTER = findInTable({ modules: OUTER_NAMES });
const NAME = /^(input|middle|output)_blocks?\.(\d{1,3})\.(?:(\d)\.)?(.+)\.(weight|bias)$/;
const PROJECTION = /\.attentions\.\d+\.proj_(?:in|out)\.weight$/;

export const compvisUnetLayout: Layout = {
  prefixes: DENOISER_PREFIXES,
  matches: (tensors) => tensors.has("middle_block.0.in_layers.2.weight"),
  place(tensors: Weights): FindPlace {
    const downsamplers = indices(tensors, /^input_blocks\.(\d{1,3})\.0\.op\.weight$/);
    const upsamplers = indices(tensors, /^output_blocks\.(\d{1,3})\.\d\.conv\.weight$/);
    const input = counter(downsamplers, 1);
    const output = counter(upsamplers, 0);
    // stable-diffusion.cpp writes SDXL's projections, which are linear, as convolutions of one pixel.
    const isSdxl = tensors.has("label_emb.0.0.weight");
    return (name) => {
      const outer = OUTER(name);
      if (outer !== undefined) return outer;
      const ours = blockName(name, { input, output });
      if (ours === undefined) return undefined;
      return { to: [ours], ...isSdxl && PROJECTION.test(ours) && { matrix: true } };
    };
  },
};

/** Returns the block of a module, and the module's place in the block. */
type Counter = (index: number) => { block: number; layer: number };

/** @param ends indices of the modules that end a block @param first index of the first module */
function counter(ends: readonly number[], first: number): Counter {
  return (index) => {
    const block = ends.filter((end) => end < index).length;
    return { block, layer: index - (block === 0 ? first : ends[block - 1]! + 1) };
  };
}

function blockName(name: string, { input, output }: Record<"input" | "output", Counter>): string | undefined {
  const [, side, index, sub, module = "", suffix] = NAME.exec(name) ?? [];
  if (side === undefined) return undefined;
  if (side === "middle") {
    // A resnet, a transformer and a resnet.
    if (index === "1") return `mid_block.attentions.0.${module}.${suffix}`;
    return RESNET_NAMES[module] && `mid_block.resnets.${Number(index) / 2}.${RESNET_NAMES[module]}.${suffix}`;
  }
  if (sub === undefined) return undefined;
  const { block, layer } = (side === "input" ? input : output)(Number(index));
  const ours = side === "input" ? `down_blocks.${block}` : `up_blocks.${block}`;
  if (module === "op") return `${ours}.downsamplers.0.conv.${suffix}`;
  if (module === "conv") return `${ours}.upsamplers.0.conv.${suffix}`;
  if (sub !== "0") return `${ours}.attentions.${layer}.${module}.${suffix}`;
  const inner = RESNET_NAMES[module];
  return inner && `${ours}.resnets.${layer}.${inner}.${suffix}`;
}

function indices(tensors: Weights, pattern: RegExp): number[] {
  return tensors.keys().flatMap((name) => pattern.exec(name)?.slice(1, 2) ?? []).map(Number).toArray()
    .sort((a, b) => a - b);
}
