// Resnets at one resolution, each optionally followed by a transformer: the inside of diffusers' DownBlock2D,
// UpBlock2D, their CrossAttn... variants, UNetMidBlock2D and UNetMidBlock2DCrossAttn.
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { resnetBlock } from "../../graph/layers/convolution/resnet_block.ts";
import type { FeatureMap, UNetContext } from "./unet_context.ts";
import { unetTransformer } from "./unet_transformer.ts";
import type { UNetBlockConfig } from "./unet_blocks.ts";

export interface UNetBlockOptions {
  /** Name of the module that holds `resnets` and `attentions`. */
  name: string;
  block: UNetBlockConfig;
  context: UNetContext;
  /** Maps to join to the inputs of the resnets, one for each. None on the way down. */
  skips?: readonly FeatureMap[];
}

/** Emits the block. Returns the map after each resnet and its transformer. */
export function unetBlock(
  graph: GraphBuilder,
  input: FeatureMap,
  { name, block, context, skips }: UNetBlockOptions,
): FeatureMap[] {
  const { outChannels: channels, attention } = block;
  const { act, normNumGroups: groups, normEps: eps, timeEmbedDim, timeScaleShift } = context.config;
  const maps: FeatureMap[] = [];
  let current = input;
  for (let i = 0; i < block.resnets; i++) {
    const skip = skips?.[i];
    const from = skip ? join(graph, current, skip) : current;
    let value = graph.scope(`resnet_${i}`, () =>
      resnetBlock(graph, from.value, {
        name: `${name}.resnets.${i}`,
        inChannels: from.channels,
        outChannels: channels,
        groups,
        eps,
        act,
        time: { embedding: context.time, features: timeEmbedDim, scaleShift: timeScaleShift },
        outputScaleFactor: block.outputScaleFactor,
        convolve: context.convolve,
      }));
    const depth = attention?.depths[i];
    if (attention && depth !== undefined) {
      const { heads, onlyCross } = attention;
      value = graph.scope(
        `attention_${i}`,
        () =>
          unetTransformer(graph, value, {
            name: `${name}.attentions.${i}`,
            channels,
            heads,
            depth,
            onlyCross,
            context,
          }),
      );
    }
    maps.push(current = { value, channels });
  }
  return maps;
}

function join(graph: GraphBuilder, a: FeatureMap, b: FeatureMap): FeatureMap {
  const value: Value = graph.node("Concat", [a.value, b.value], { attributes: { axis: 1 } });
  return { value, channels: a.channels + b.channels };
}
