// Decodes a clip of so many frames with a tiny Wan autoencoder, keeps its bytes as a pipeline does, and prints the
// process's peak memory before and after. It is a process of its own because a peak is never taken back.
import { autoencoderKLWanDecoder } from "../../gpu-worker/graph/autoencoder_kl_wan_decoder.ts";
import { peakMemoryBytes } from "../../gpu-worker/cli/peak_memory.ts";
import { collectClip } from "../../gpu-worker/pipelines/collect_clip.ts";
import { decodeClip } from "../../gpu-worker/pipelines/decode_clip.ts";
import { Runtime } from "../../gpu-worker/runtime/mod.ts";
import { component } from "../graph/_component.ts";

const [numFrames, side] = Deno.args.map(Number) as [number, number];
// Four channels; each latent pixel is eight of a side, each latent frame four.
const { graph, caches } = autoencoderKLWanDecoder(component("wan/tiny-unipc/vae"));
const size = { channels: 16, frames: (numFrames - 1) / 4 + 1, height: side / 8, width: side / 8 };
using runtime = Runtime.open({ intraOpThreads: 1 });
using vae = await runtime.createSession(graph);
const data = new Float32Array(size.channels * size.frames * size.height * size.width).fill(0.5);
const before = peakMemoryBytes();
const { video } = await collectClip(decodeClip({ runtime, vae, caches, scale: 8 }, { size, data }), {
  numFrames,
  fps: 16,
});
const bytes = video.frames.reduce((sum, { byteLength }) => sum + byteLength, 0);
console.log(JSON.stringify({ before, after: peakMemoryBytes(), bytes }));
