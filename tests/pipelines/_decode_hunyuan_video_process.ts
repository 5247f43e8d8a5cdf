// Decodes a clip of so many frames with a tiny HunyuanVideo autoencoder, keeps its bytes as a pipeline does, and prints the
// process's peak memory. It is a process of its own because a peak is never taken back.
import { peakMemoryBytes } from "../../gpu-worker/cli/peak_memory.ts";
import { autoencoderKLHunyuanVideoDecoderGraph } from "../../gpu-worker/graph/autoencoder_kl_hunyuan_video_decoder.ts";
import { collectClip } from "../../gpu-worker/pipelines/collect_clip.ts";
import { decodeHunyuanVideo } from "../../gpu-worker/pipelines/hunyuan_video_decoder.ts";
import { Runtime } from "../../gpu-worker/runtime/mod.ts";
import { component } from "../graph/_component.ts";

const [numFrames, side] = Deno.args.map(Number) as [number, number];
// Each latent pixel is eight of a side, each latent frame four.
const size = { channels: 16, frames: (numFrames - 1) / 4 + 1, height: side / 8, width: side / 8 };
using runtime = Runtime.open({ intraOpThreads: 1 });
using vae = await runtime.createSession(
  autoencoderKLHunyuanVideoDecoderGraph(component("hunyuan_video/tiny-distilled/vae")),
);
const data = new Float32Array(size.channels * size.frames * size.height * size.width).fill(0.5);
const frames = decodeHunyuanVideo({ size, data }, { runtime, vae, scale: 8 });
const { video } = await collectClip(frames, { numFrames, fps: 24 });
const bytes = video.frames.reduce((sum, { byteLength }) => sum + byteLength, 0);
console.log(JSON.stringify({ peak: peakMemoryBytes(), bytes }));
