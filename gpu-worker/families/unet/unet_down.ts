// A UNet from its first map to its middle, which a ControlNet repeats.
import type { GraphBuilder } from "../../graph/graph_builder.ts";
import { conv2d } from "../../graph/layers/convolution/conv2d.ts";
import { unetBlock } from "./unet_block.ts";
import type { UNet2DConditionConfig } from "./unet_config.ts";
import type { FeatureMap, UNetContext } from "./unet_context.ts";

/**
 * Returns the maps that the up blocks join to theirs: `first`, and the map after
 * each resnet and each downsampler.
 */
export function unetDown(graph: GraphBuilder, first: FeatureMap, context: UNetContext): FeatureMap[] {
  const { config } = context;
  const maps = [first];
  for (const [i, block] of config.down.entries()) {
    const name = `down_blocks.${i}`;
    graph.scope(name, () => {
      maps.push(...unetBlock(graph, maps.at(-1)!, { name, block, context }));
      if (i < config.down.length - 1) maps.push(downsample(graph, maps.at(-1)!, { name, config }));
    });
  }
  return maps;
}

/** Emits the middle block, if there is one. */
export function unetMid(graph: GraphBuilder, input: FeatureMap, context: UNetContext): FeatureMap {
  const block = context.config.mid;
  if (!block) return input;
  const name = "mid_block";
  return graph.scope(name, () => unetBlock(graph, input, { name, block, context }).at(-1)!);
}

function downsample(
  graph: GraphBuilder,
  { value, channels }: FeatureMap,
  { name, config: { downsamplePadding: padding } }: { name: string; config: UNet2DConditionConfig },
): FeatureMap {
  const halved = conv2d(graph, value, {
    name: `${name}.downsamplers.0.conv`,
    inChannels: channels,
    outChannels: channels,
    kernelSize: 3,
    stride: 2,
    // With padding 0 in the config, diffusers pads right and bottom.
    padding: padding === 0 ? [0, 0, 1, 1] : [padding, padding, padding, padding],
  });
  return { value: halved, channels };
}
