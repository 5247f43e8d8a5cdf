// A ControlNet of Stable Diffusion or SDXL: diffusers' ControlNetModel.
import {
  assertControlNetFits,
  type ControlNetFiles,
  requireControlNetClass,
} from "../../checkpoint/control_net_files.ts";
import { GraphBuilder, type Value } from "../../graph/graph_builder.ts";
import { conv2d } from "../../graph/layers/convolution/conv2d.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import type { ControlNet, ControlNetGraphs } from "../../pipeline/control_net.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { ProviderName } from "../../runtime/provider.ts";
import { type ControlNetConfig, parseControlNetConfig } from "./control_net_config.ts";
import { residualNames } from "./residual_inputs.ts";
import type { UNet2DConditionConfig } from "./unet_config.ts";
import { type ConvolutionsOptions, unetConvolutions } from "./unet_convolutions.ts";
import { unetDown, unetMid } from "./unet_down.ts";
import { unetTime } from "./unet_time.ts";

export interface UNetControlNetOptions {
  /** The model's name, for errors. */
  model: string;
  /** The model's UNet. */
  config: UNet2DConditionConfig;
  /** Pixels a side of a latent pixel. */
  vaeScale: number;
  /** Compute type. */
  dtype: DType;
}

/**
 * Reads a ControlNet of a UNet.
 * @throws {CheckpointError} naming both, if the ControlNet is of another class or was made for another model.
 */
export function readUNetControlNet(
  files: ControlNetFiles,
  { model, config: unet, vaeScale, dtype }: UNetControlNetOptions,
): ControlNet {
  requireControlNetClass(files, { model, takes: "ControlNetModel" });
  const config = parseControlNetConfig(files.config, `${files.folder}/config.json`);
  assertControlNetFits({ folder: files.folder, model }, [
    { option: "cross_attention_dim", value: config.unet.crossAttentionDim, expected: unet.crossAttentionDim },
    { option: "in_channels", value: config.unet.inChannels, expected: unet.outChannels },
    { option: "block_out_channels", value: widthsOf(config.unet), expected: widthsOf(unet) },
    { option: "layers_per_block", value: layersOf(config.unet), expected: layersOf(unet) },
    { option: "addition_embed_type", value: config.unet.textTime, expected: unet.textTime },
    {
      // Each further entry halves the control image's sides.
      option: "conditioning_embedding_out_channels",
      value: `${config.hintChannels.length} entries`,
      expected: `${Math.log2(vaeScale) + 1} entries`,
    },
  ]);
  const maps = unet.down.reduce((sum, { resnets }) => sum + resnets + 1, 0);
  const names = residualNames(maps);
  return {
    name: files.shortName,
    residuals: Object.fromEntries(names.map((name) => [name, name])),
    buildGraphs: ({ provider } = {}) => controlNetGraphs(files, { config, dtype, provider }),
  };
}

function widthsOf({ down }: UNet2DConditionConfig): number[] {
  return down.map(({ outChannels }) => outChannels);
}

function layersOf({ down }: UNet2DConditionConfig): number[] {
  return down.map(({ resnets }) => resnets);
}

/**
 * Builds the graphs. Inputs of `net`: sample, timestep, encoder_hidden_states and, of SDXL, text_embeds and
 * time_ids, as the trunk's; hint [1 or batch, channels, height, width]; control_scale [1]. Its outputs have
 * the names of the trunk's inputs.
 */
function controlNetGraphs(
  { name, weights }: ControlNetFiles,
  { config, dtype, provider }: { config: ControlNetConfig; dtype: DType; provider: ProviderName | undefined },
): ControlNetGraphs {
  const hint = new GraphBuilder({ name: `${name}_hint`, weights, dtype });
  emitHint(hint, config);
  const net = new GraphBuilder({ name, weights, dtype });
  emitNet(net, config, { weights, provider });
  for (const weight of hint.usedWeights) net.usedWeights.add(weight);
  net.refuseUnusedWeights();
  return { net: net.build(), hint: hint.build() };
}

/** Emits the layers that turn the control image [batch, 3, h, w], 0..1, into the hint. */
function emitHint(graph: GraphBuilder, { unet: { channels }, bgr, hintChannels }: ControlNetConfig): void {
  const name = "controlnet_cond_embedding";
  const image = graph.cast(graph.input("image", ["batch", 3, "image_height", "image_width"], "float32"));
  const ordered = bgr
    ? graph.node("Gather", [image, graph.ints(2, 1, 0)], { attributes: { axis: 1 } })
    : image;
  const layer = (x: Value, part: string, [inChannels, outChannels, stride = 1]: number[]) =>
    activation(
      graph,
      conv2d(graph, x, {
        name: `${name}.${part}`,
        inChannels: inChannels!,
        outChannels: outChannels!,
        kernelSize: 3,
        stride,
        padding: [1, 1, 1, 1],
      }),
      "silu",
    );
  let map = layer(ordered, "conv_in", [3, hintChannels[0]!]);
  for (let i = 0; i < hintChannels.length - 1; i++) {
    const [from, to] = [hintChannels[i]!, hintChannels[i + 1]!];
    map = layer(map, `blocks.${2 * i}`, [from, from]);
    map = layer(map, `blocks.${2 * i + 1}`, [from, to, 2]);
  }
  const hint = conv2d(graph, map, {
    name: `${name}.conv_out`,
    inChannels: hintChannels.at(-1)!,
    outChannels: channels,
    kernelSize: 3,
  });
  graph.output("hint", hint, ["batch", channels, "height", "width"]);
}

function emitNet(
  graph: GraphBuilder,
  { unet: config }: ControlNetConfig,
  { weights, provider }: ConvolutionsOptions,
): void {
  const { inChannels, channels, crossAttentionDim } = config;
  const sample = graph.cast(graph.input("sample", ["batch", inChannels, "height", "width"], "float32"));
  const text = graph.input("encoder_hidden_states", ["batch", "text_tokens", crossAttentionDim], "float32");
  const time = graph.scope("time", () => unetTime(graph, config));
  const hint = graph.input("hint", ["hint_batch", channels, "hint_height", "hint_width"]);
  const scale = graph.cast(graph.input("control_scale", [1], "float32"));
  const first = graph.node("Add", [
    conv2d(graph, sample, { name: "conv_in", inChannels, outChannels: channels, kernelSize: 3 }),
    hint,
  ]);
  const convolve = unetConvolutions(graph, { weights, provider });
  const context = { config, time, text: graph.cast(text), convolve };
  const maps = unetDown(graph, { value: first, channels }, context);
  const middle = unetMid(graph, maps.at(-1)!, context);
  const names = residualNames(maps.length);
  for (const [i, { value, channels }] of [...maps, middle].entries()) {
    const layer = i < maps.length ? `controlnet_down_blocks.${i}` : "controlnet_mid_block";
    const projected = conv2d(graph, value, {
      name: layer,
      inChannels: channels,
      outChannels: channels,
      kernelSize: 1,
    });
    const name = names[i]!;
    const size = [`${name}_height`, `${name}_width`];
    graph.output(name, graph.node("Mul", [projected, scale]), ["batch", channels, ...size]);
  }
}
