// The decoder of diffusers' AutoencoderKLHunyuanVideo: turns a few frames of the
// denoiser's latents into pixels.
import { type BlockKind, vaeMiddle, vaeNorm, vaeResnet } from "./hunyuan_video_vae_blocks.ts";
import {
  type AutoencoderKLHunyuanVideoConfig,
  parseAutoencoderKLHunyuanVideoConfig,
} from "./hunyuan_video_vae_config.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../../graph/graph_builder.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { frameCausalAttention } from "../../graph/layers/attention/frame_causal_attention.ts";
import { replicateConv3d } from "../../graph/layers/convolution/replicate_conv3d.ts";
import type { Weights } from "../../checkpoint/weights.ts";

export interface AutoencoderKLHunyuanVideoOptions {
  /** The component's parsed config.json. */
  config: unknown;
  weights: Weights;
  /** Component folder, for names and errors. @default "vae" */
  name?: string;
}

/**
 * Largest number of latent frames in a call. diffusers decodes as many at once, and
 * longer videos in overlapping parts.
 */
export const MAX_LATENT_FRAMES = 5;

/**
 * Builds the graph latent [1, latent_channels, frames, h, w] -> sample [1, 3, 4 (frames - 1) + 1, f h, f w]
 * for 1 to MAX_LATENT_FRAMES frames. f is the config's spatial_compression_ratio. Inputs, outputs and
 * arithmetic are float32.
 * The latent is in the denoiser's scale; the graph undoes the config's scaling. A sample is
 * mostly in -1..1 and not clamped.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function autoencoderKLHunyuanVideoDecoderGraph(options: AutoencoderKLHunyuanVideoOptions): OnnxModel {
  const { weights, name = "vae" } = options;
  const config = parseAutoencoderKLHunyuanVideoConfig(options.config, `${name}/config.json`);
  const graph = new GraphBuilder({ name: `${name}_decoder`, weights, opset: 18, dtype: "float32" });
  const { latent_channels: latentChannels, out_channels: outChannels } = config;
  const widths = config.block_out_channels.toReversed();
  const [wide, narrow] = [widths[0]!, widths.at(-1)!];
  const kind: BlockKind = { config, axes: 3, convolve: conv };

  const latent = graph.input("latent", [1, latentChannels, "frames", "height", "width"]);
  let x = graph.node("Div", [latent, graph.scalar(config.scaling_factor)]);
  const kernel = graph.weight("post_quant_conv.weight", [latentChannels, latentChannels, 1, 1, 1]);
  x = graph.node("Conv", [x, kernel, graph.weight("post_quant_conv.bias", [latentChannels])], {
    attributes: { kernel_shape: [1, 1, 1] },
  });
  x = conv(graph, x, { name: "decoder.conv_in", inChannels: latentChannels, outChannels: wide });
  x = graph.scope("mid_block", () =>
    vaeMiddle(graph, x, {
      name: "decoder.mid_block",
      channels: wide,
      attend: (first, options) =>
        frameCausalAttention(graph, first, { ...options, maxFrames: MAX_LATENT_FRAMES }),
      ...kind,
    }));
  widths.forEach((width, i) => {
    x = graph.scope(`up_block_${i}`, () => {
      let y = x;
      for (let j = 0; j <= config.layers_per_block; j++) {
        y = vaeResnet(graph, y, {
          name: `decoder.up_blocks.${i}.resnets.${j}`,
          inChannels: j === 0 ? widths[i - 1] ?? wide : width,
          outChannels: width,
          ...kind,
        });
      }
      return upsample(graph, y, {
        name: `decoder.up_blocks.${i}.upsamplers.0`,
        channels: width,
        ...resampling(config, i),
      });
    });
  });
  // diffusers always uses SiLU here and ignores act_fn.
  const normed = vaeNorm(graph, x, { name: "decoder.conv_norm_out", channels: narrow, ...kind });
  const pixels = conv(graph, activation(graph, normed, "silu"), {
    name: "decoder.conv_out",
    inChannels: narrow,
    outChannels,
  });
  graph.output("sample", pixels, [1, outChannels, "sample_frames", "sample_height", "sample_width"]);
  return graph.build();
}

/**
 * Returns the sizes that block `i` of the decoder doubles, and of the encoder halves: pixels in the first
 * blocks, time in the two blocks before the last.
 */
export function resampling(
  { block_out_channels: { length }, spatial_compression_ratio: ratio }: AutoencoderKLHunyuanVideoConfig,
  i: number,
): { time: 1 | 2; side: 1 | 2 } {
  return { time: i >= length - 3 && i < length - 1 ? 2 : 1, side: i < Math.log2(ratio) ? 2 : 1 };
}

function conv(
  graph: GraphBuilder,
  x: Value,
  options: Parameters<BlockKind["convolve"]>[2],
): Value {
  return replicateConv3d(graph, x, { kernelSize: 3, ...options });
}

/** Repeats pixels, and all frames except the first, then convolves (HunyuanVideoUpsampleCausal3D). */
function upsample(
  graph: GraphBuilder,
  x: Value,
  { name, channels, time, side }: { name: string; channels: number; time: 1 | 2; side: 1 | 2 },
): Value {
  if (time * side === 1) return x;
  const scales = graph.constant([1, 1, time, side, side], [5], "float32");
  const attributes = {
    mode: "nearest",
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  };
  let larger = graph.node("Resize", [x, undefined, scales], { attributes });
  if (time === 2) {
    larger = graph.node("Slice", [larger, graph.ints(1), graph.ints(2 ** 31 - 1), graph.ints(2)]);
  }
  return conv(graph, larger, { name: `${name}.conv`, inChannels: channels, outChannels: channels });
}
