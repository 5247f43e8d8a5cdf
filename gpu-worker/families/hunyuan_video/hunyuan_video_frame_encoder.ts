// The encoder of diffusers' AutoencoderKLHunyuanVideo for a single frame: turns the frame that a video begins
// with into the denoiser's latents.
import { GraphBuilder, type OnnxModel, type Value } from "../../graph/graph_builder.ts";
import { spatialAttention } from "../../graph/layers/attention/spatial_attention.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { type BlockKind, vaeMiddle, vaeNorm, vaeResnet } from "./hunyuan_video_vae_blocks.ts";
import { parseAutoencoderKLHunyuanVideoConfig } from "./hunyuan_video_vae_config.ts";
import { type AutoencoderKLHunyuanVideoOptions, resampling } from "./hunyuan_video_vae_decoder.ts";

/**
 * Builds the graph frame [1, 3, f h, f w] in -1..1 -> mean [1, latent_channels, h, w], the posterior's mean
 * in the denoiser's scale. Inputs, outputs and arithmetic are float32; f is the config's
 * spatial_compression_ratio.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function hunyuanVideoFrameEncoderGraph(options: AutoencoderKLHunyuanVideoOptions): OnnxModel {
  const { weights, name = "vae" } = options;
  const config = parseAutoencoderKLHunyuanVideoConfig(options.config, `${name}/config.json`);
  const graph = new GraphBuilder({ name: `${name}_frame_encoder`, weights, opset: 18, dtype: "float32" });
  const { in_channels: inChannels, latent_channels: latentChannels, block_out_channels: widths } = config;
  const [narrow, wide] = [widths[0]!, widths.at(-1)!];
  const kind: BlockKind = { config, axes: 2, convolve: frameConv };

  const frame = graph.input("frame", [1, inChannels, "sample_height", "sample_width"]);
  let x = frameConv(graph, frame, { name: "encoder.conv_in", inChannels, outChannels: narrow });
  widths.forEach((width, i) => {
    const block = `encoder.down_blocks.${i}`;
    x = graph.scope(`down_block_${i}`, () => {
      let y = x;
      for (let j = 0; j < config.layers_per_block; j++) {
        const inChannels = j === 0 ? widths[i - 1] ?? narrow : width;
        y = vaeResnet(graph, y, { name: `${block}.resnets.${j}`, inChannels, outChannels: width, ...kind });
      }
      const { time, side } = resampling(config, i);
      if (time * side === 1) return y;
      const channels = { inChannels: width, outChannels: width };
      return frameConv(graph, y, { name: `${block}.downsamplers.0.conv`, ...channels, stride: side });
    });
  });
  x = graph.scope("mid_block", () =>
    vaeMiddle(graph, x, {
      name: "encoder.mid_block",
      channels: wide,
      attend: (first, options) => spatialAttention(graph, first, options),
      ...kind,
    }));
  // diffusers always uses SiLU here and ignores act_fn.
  const normed = vaeNorm(graph, x, { name: "encoder.conv_norm_out", channels: wide, ...kind });
  const moments = 2 * latentChannels;
  const encoded = frameConv(graph, activation(graph, normed, "silu"), {
    name: "encoder.conv_out",
    inChannels: wide,
    outChannels: moments,
  });
  const kernel = graph.weight("quant_conv.weight", [moments, moments, 1, 1, 1]);
  const posterior = graph.node("Conv", [
    encoded,
    graph.node("Reshape", [kernel, graph.ints(moments, moments, 1, 1)]),
    graph.weight("quant_conv.bias", [moments]),
  ], { attributes: { kernel_shape: [1, 1] } });
  const [mean] = graph.nodes("Split", [posterior], { attributes: { axis: 1, num_outputs: 2 }, outputs: 2 });
  const scaled = graph.node("Mul", [mean!, graph.scalar(config.scaling_factor)]);
  graph.output("mean", scaled, [1, latentChannels, "height", "width"]);
  return { ...graph.build(), memPattern: false };
}

interface FrameConvOptions {
  /** Name of the HunyuanVideoCausalConv3d. */
  name: string;
  inChannels: number;
  outChannels: number;
  /** @default 3 */
  kernelSize?: 1 | 3;
  /** Of rows and columns. @default 1 */
  stride?: 1 | 2;
}

/**
 * Emits HunyuanVideoCausalConv3d on a frame, [1, inChannels, h, w] -> [1, outChannels, h', w']. The frames
 * before a first frame repeat it, so the kernel is the sum over its time.
 */
function frameConv(graph: GraphBuilder, x: Value, options: FrameConvOptions): Value {
  const { name, inChannels, outChannels, kernelSize: k = 3, stride = 1 } = options;
  const weight = graph.weight(`${name}.conv.weight`, [outChannels, inChannels, k, k, k]);
  const kernel = graph.node("ReduceSum", [weight, graph.ints(2)], { attributes: { keepdims: 0 } });
  const pads = graph.ints(0, 0, 1, 1, 0, 0, 1, 1);
  return graph.node("Conv", [
    k === 1 ? x : graph.node("Pad", [x, pads], { attributes: { mode: "edge" } }),
    kernel,
    graph.weight(`${name}.conv.bias`, [outChannels]),
  ], { attributes: { kernel_shape: [k, k], strides: [stride, stride] } });
}
