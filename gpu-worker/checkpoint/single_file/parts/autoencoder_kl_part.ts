// AutoencoderKL in the names of CompVis (latent-diffusion), which Stable Diffusion, SDXL, SD3 and FLUX share.
// FLUX.2's has the same names, and a batch norm of its latents.
import type { Weights } from "../../weights.ts";
import type { Part } from "../architecture.ts";
import { type FindPlace, type Layout, ownNames } from "../layout.ts";
import { findInTable } from "../name_table.ts";
import { countOf } from "../shapes.ts";

const PREFIXES = ["first_stage_model.", "vae.", ""];
/** More resolutions than any autoencoder has. */
const MAX_BLOCKS = 16;
const BATCH_NORM = ["bn.running_mean", "bn.running_var", "bn.num_batches_tracked"];
/** A matrix that CompVis stores as a convolution of one pixel. */
const matrix = (to: string) => ({ to: [to], matrix: true });

const side = (name: "encoder" | "decoder") => ({
  [`${name}.conv_in`]: `${name}.conv_in`,
  [`${name}.conv_out`]: `${name}.conv_out`,
  [`${name}.norm_out`]: `${name}.conv_norm_out`,
  [`${name}.mid.attn_1.norm`]: `${name}.mid_block.attentions.0.group_norm`,
  [`${name}.mid.attn_1.q`]: matrix(`${name}.mid_block.attentions.0.to_q`),
  [`${name}.mid.attn_1.k`]: matrix(`${name}.mid_block.attentions.0.to_k`),
  [`${name}.mid.attn_1.v`]: matrix(`${name}.mid_block.attentions.0.to_v`),
  [`${name}.mid.attn_1.proj_out`]: matrix(`${name}.mid_block.attentions.0.to_out.0`),
  ...resnet(`${name}.mid.block_1`, `${name}.mid_block.resnets.0`),
  ...resnet(`${name}.mid.block_2`, `${name}.mid_block.resnets.1`),
});

const COMPVIS: Layout = {
  prefixes: PREFIXES,
  matches: (tensors) => tensors.has("decoder.mid.block_1.conv1.weight"),
  place(tensors: Weights): FindPlace {
    // CompVis counts the decoder's blocks from high resolution, diffusers in the order of computation.
    const blocks = Math.min(countOf(tensors, "decoder.up."), MAX_BLOCKS);
    const up = Array.from({ length: blocks }, (_, i) => ({
      ...resnet(`decoder.up.${i}.block.*`, `decoder.up_blocks.${blocks - 1 - i}.resnets.*`),
      [`decoder.up.${i}.upsample.conv`]: `decoder.up_blocks.${blocks - 1 - i}.upsamplers.0.conv`,
    }));
    return findInTable({
      modules: Object.assign({
        ...side("encoder"),
        ...side("decoder"),
        "quant_conv": "quant_conv",
        "post_quant_conv": "post_quant_conv",
        // FLUX.2 counts these two to the networks that they follow and precede.
        "encoder.quant_conv": "quant_conv",
        "decoder.post_quant_conv": "post_quant_conv",
        ...resnet("encoder.down.*.block.*", "encoder.down_blocks.*.resnets.*"),
        "encoder.down.*.downsample.conv": "encoder.down_blocks.*.downsamplers.0.conv",
      }, ...up),
      tensors: Object.fromEntries(BATCH_NORM.map((name) => [name, name])),
      // The discriminator of training, and averages of its weights.
      unused: /^(?:loss\.|model_ema\.)/,
    });
  },
};

function resnet(file: string, ours: string): Record<string, string> {
  return {
    [`${file}.norm1`]: `${ours}.norm1`,
    [`${file}.conv1`]: `${ours}.conv1`,
    [`${file}.norm2`]: `${ours}.norm2`,
    [`${file}.conv2`]: `${ours}.conv2`,
    [`${file}.nin_shortcut`]: `${ours}.conv_shortcut`,
  };
}

const LAYOUTS = [
  COMPVIS,
  ownNames({ prefixes: PREFIXES, markers: ["decoder.mid_block.resnets.0.conv1.weight"] }),
];
const hasBatchNorm = (tensors: Weights) => BATCH_NORM.some((name) => tensors.has(name));

export const autoencoderKLPart: Part = {
  component: "vae",
  className: "AutoencoderKL",
  layouts: LAYOUTS.map((layout) => ({
    ...layout,
    matches: (tensors) => layout.matches(tensors) && !hasBatchNorm(tensors),
  })),
};

export const autoencoderKLFlux2Part: Part = {
  component: "vae",
  className: "AutoencoderKLFlux2",
  layouts: LAYOUTS.map((layout) => ({
    ...layout,
    matches: (tensors) => layout.matches(tensors) && hasBatchNorm(tensors),
  })),
};
