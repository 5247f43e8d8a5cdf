// Decodes a video of NUM_FRAMES frames with a video autoencoder, keeps its bytes like a pipeline, and prints
// the process's peak memory. It needs its own process, as a process's peak memory never falls.
// Usage: deno run -A tests/gpu-worker/vae/decode_video_process.ts VAE_FOLDER NUM_FRAMES SIDE
import { peakMemoryBytes } from "../../../gpu-worker/cli/peak_memory.ts";
import { parseAutoencoderKLHunyuanVideoConfig } from "../../../gpu-worker/families/hunyuan_video/hunyuan_video_vae_config.ts";
import { autoencoderKLHunyuanVideoDecoderGraph } from "../../../gpu-worker/families/hunyuan_video/hunyuan_video_vae_decoder.ts";
import { parseAutoencoderKLWanConfig } from "../../../gpu-worker/graph/wan_vae/wan_vae_config.ts";
import { wanVaeDecoder } from "../../../gpu-worker/graph/wan_vae/wan_vae_decoder.ts";
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import { collectVideo } from "../../../gpu-worker/vae/collect_video.ts";
import { decodeWan } from "../../../gpu-worker/vae/decode_wan.ts";
import { decodeHunyuanVideo } from "../../../gpu-worker/families/hunyuan_video/decode_hunyuan_video.ts";
import type { VideoToDecode } from "../../../gpu-worker/vae/video_to_decode.ts";
import { Runtime, type Session } from "../../../gpu-worker/runtime/mod.ts";
import { component } from "../graph/component.ts";

const [folder, ...numbers] = Deno.args;
const [numFrames, side] = numbers.map(Number) as [number, number];
const source = component(folder!);
using runtime = Runtime.open({ intraOpThreads: 1 });
const { graph, channels, spatialScale, temporalScale, decode } = source.config["_class_name"] ===
    "AutoencoderKLWan"
  ? wanDecoder()
  : hunyuanVideoDecoder();
using vae: Session = await runtime.createSession(graph);
const size = {
  channels,
  frames: (numFrames - 1) / temporalScale + 1,
  height: side / spatialScale,
  width: side / spatialScale,
};
const data = new Float32Array(size.channels * size.frames * size.height * size.width).fill(0.5);
const { video } = await collectVideo(decode(vae, { size, data }), { numFrames, fps: 16 });
const bytes = video.frames.reduce((sum, { byteLength }) => sum + byteLength, 0);
console.log(JSON.stringify({ peak: peakMemoryBytes(), bytes }));

interface Decoder {
  graph: OnnxModel;
  channels: number;
  spatialScale: number;
  temporalScale: number;
  decode(vae: Session, video: VideoToDecode): ReturnType<typeof decodeWan>;
}

function wanDecoder(): Decoder {
  const config = parseAutoencoderKLWanConfig(source.config, folder!);
  const { graph, caches } = wanVaeDecoder({ config, weights: source.weights });
  const { latentChannels: channels, spatialScale: scale } = config;
  return {
    ...config,
    channels,
    graph,
    decode: (vae, video) => decodeWan({ runtime, vae, caches, scale }, video),
  };
}

function hunyuanVideoDecoder(): Decoder {
  const config = parseAutoencoderKLHunyuanVideoConfig(source.config, folder!);
  const scale = config.spatial_compression_ratio;
  return {
    channels: config.latent_channels,
    spatialScale: scale,
    temporalScale: config.temporal_compression_ratio,
    graph: autoencoderKLHunyuanVideoDecoderGraph(source),
    decode: (vae, video) => decodeHunyuanVideo(video, { runtime, vae, scale }),
  };
}
