// Wan's autoencoders, which Qwen-Image and Qwen-Image-2.1 have too, in the names of Wan's own repositories.
// Wan2.1 counts the layers of all resolutions consecutively, Wan2.2 those of each resolution.
import type { Part } from "../architecture.ts";
import { type FindPlace, type Layout, ownNames, type Place } from "../layout.ts";
import { findInTable, type NameTable } from "../name_table.ts";
import { countOf } from "../shapes.ts";
import type { Weights } from "../../weights.ts";

/** More layers than any decoder has. */
const MAX_LAYERS = 100;

/** The layers of a residual block. */
const resnet = (file: string, ours: string): NameTable => ({
  modules: {
    [`${file}.residual.2`]: `${ours}.conv1`,
    [`${file}.residual.6`]: `${ours}.conv2`,
    [`${file}.shortcut`]: `${ours}.conv_shortcut`,
  },
  tensors: {
    [`${file}.residual.0.gamma`]: `${ours}.norm1.gamma`,
    [`${file}.residual.3.gamma`]: `${ours}.norm2.gamma`,
  },
});

const resampler = (file: string, ours: string): NameTable => ({
  modules: { [`${file}.resample.1`]: `${ours}.resample.1`, [`${file}.time_conv`]: `${ours}.time_conv` },
});

const side = (name: "encoder" | "decoder"): NameTable =>
  join([
    {
      modules: {
        [`${name}.conv1`]: `${name}.conv_in`,
        [`${name}.middle.1.to_qkv`]: `${name}.mid_block.attentions.0.to_qkv`,
        [`${name}.middle.1.proj`]: `${name}.mid_block.attentions.0.proj`,
        [`${name}.head.2`]: `${name}.conv_out`,
      },
      tensors: {
        [`${name}.middle.1.norm.gamma`]: `${name}.mid_block.attentions.0.norm.gamma`,
        [`${name}.head.0.gamma`]: `${name}.norm_out.gamma`,
      },
    },
    resnet(`${name}.middle.0`, `${name}.mid_block.resnets.0`),
    resnet(`${name}.middle.2`, `${name}.mid_block.resnets.1`),
  ]);

const PREFIXES = ["vae.", "first_stage_model.", ""];

/** All but the resolutions. */
const OUTER = join([
  { modules: { "conv1": "quant_conv", "conv2": "post_quant_conv" } },
  side("encoder"),
  side("decoder"),
]);

const ORIGINAL: Layout = {
  prefixes: PREFIXES,
  matches: (tensors) =>
    tensors.has("decoder.middle.0.residual.0.gamma") && tensors.has("decoder.upsamples.0.residual.0.gamma"),
  place: (tensors: Weights): FindPlace =>
    findInTable(
      join([
        OUTER,
        // diffusers counts the encoder's layers consecutively too.
        resnet("encoder.downsamples.*", "encoder.down_blocks.*"),
        resampler("encoder.downsamples.*", "encoder.down_blocks.*"),
        ...decoderBlocks(tensors),
      ]),
    ),
};

const WAN22: Layout = {
  prefixes: PREFIXES,
  matches: (tensors) => tensors.has("decoder.upsamples.0.upsamples.0.residual.0.gamma"),
  place: () => findInTable(WAN22_NAMES),
};

const WAN22_NAMES = join([
  OUTER,
  resnet("encoder.downsamples.*.downsamples.*", "encoder.down_blocks.*.resnets.*"),
  // The file counts a resampler behind the residual blocks; diffusers has one a resolution.
  resampler("encoder.downsamples.*.downsamples.*", "encoder.down_blocks.*.downsampler"),
  resnet("decoder.upsamples.*.upsamples.*", "decoder.up_blocks.*.resnets.*"),
  resampler("decoder.upsamples.*.upsamples.*", "decoder.up_blocks.*.upsampler"),
]);

/** Wan2.2's names with convolutions of one frame, which diffusers makes convolutions of pictures. */
const QWEN_IMAGE21: Layout = {
  ...WAN22,
  place: () => {
    const find = findInTable(WAN22_NAMES);
    return (name) => {
      const place = find(name);
      return typeof place === "object" ? { ...place, frame: true } satisfies Place : place;
    };
  },
};

/** An upsampler ends each block of the decoder but the last. */
function decoderBlocks(tensors: Weights): NameTable[] {
  const tables: NameTable[] = [];
  const layers = Math.min(countOf(tensors, "decoder.upsamples."), MAX_LAYERS);
  let block = 0;
  let layer = 0;
  for (let i = 0; i < layers; i++) {
    const file = `decoder.upsamples.${i}`;
    if (tensors.has(`${file}.residual.0.gamma`)) {
      tables.push(resnet(file, `decoder.up_blocks.${block}.resnets.${layer++}`));
    } else {
      tables.push(resampler(file, `decoder.up_blocks.${block++}.upsamplers.0`));
      layer = 0;
    }
  }
  return tables;
}

function join(tables: readonly NameTable[]): NameTable {
  return {
    modules: Object.assign({}, ...tables.map(({ modules }) => modules)),
    tensors: Object.assign({}, ...tables.map(({ tensors }) => tensors)),
  };
}

const ORIGINALS = {
  AutoencoderKLWan: [WAN22, ORIGINAL],
  AutoencoderKLQwenImage: [ORIGINAL],
  AutoencoderKLQwenImage21: [QWEN_IMAGE21],
};

/** Returns the autoencoder of a pipeline. @param className diffusers' class, which the config follows */
export function wanVaePart(className: keyof typeof ORIGINALS): Part {
  const own = ownNames({ prefixes: PREFIXES, markers: ["decoder.mid_block.resnets.0.norm1.gamma"] });
  return { component: "vae", className, layouts: [...ORIGINALS[className], own] };
}
