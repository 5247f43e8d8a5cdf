// Decodes a video's latents in parts that overlap in time, and in tiles within each part
// (_temporal_tiled_decode and tiled_decode of diffusers' AutoencoderKLHunyuanVideo).
import { MAX_LATENT_FRAMES } from "./hunyuan_video_vae_decoder.ts";
import type { DecodedImage } from "../../media/decoded_image.ts";
import type { Runtime, Tensor } from "../../runtime/mod.ts";
import { blendTiles, type Planes } from "../../vae/blend_tiles.ts";
import { videoLatents } from "../../vae/video_latents.ts";
import { tileFrames, type VideoTiling } from "../../vae/video_tiling.ts";
import type { GraphSession } from "../../session/session_loader.ts";
import type { VideoToDecode } from "../../vae/video_to_decode.ts";

export interface HunyuanVideoDecoderOptions {
  runtime: Runtime;
  /** latent [1, channels, frames, h, w] -> sample [1, 3, 4 (frames - 1) + 1, f h, f w] */
  vae: GraphSession;
  /** f, the pixels along the side of a latent pixel. */
  scale: number;
  /** Decodes frames that are larger than one tile in tiles. @default whole frames, diffusers' default */
  tiling?: VideoTiling | undefined;
  /** Latent frames at the beginning that are not shown. @default 0 */
  lead?: number;
}

/** Frames per latent frame, except the first, which gives one frame. */
const GROWTH = 4;
/** Latent frames from one part to the next: tile_sample_stride_num_frames / GROWTH. */
const PART_STRIDE = 3;
/** Frames over which parts fade into each other: tile_sample_min_num_frames minus its stride. */
const BLENDED_FRAMES = 4;

/**
 * Yields the frames in order, [3, height, width] in -1..1, not clamped. A frame's data is valid
 * until the next frame is requested. Memory is bounded by one part of MAX_LATENT_FRAMES latent
 * frames, however long the video is.
 * @throws the signal's reason, once it is aborted.
 */
export async function* decodeHunyuanVideo(
  video: VideoToDecode,
  options: HunyuanVideoDecoderOptions,
): AsyncGenerator<DecodedImage> {
  const { frames } = video.size;
  // diffusers drops as many frames as a latent frame holds, although the first one holds a single frame.
  let hidden = (options.lead ?? 0) * GROWTH;
  let previous: Float32Array[] = [];
  for (let from = 0; from < frames; from += PART_STRIDE) {
    const to = Math.min(frames, from + MAX_LATENT_FRAMES);
    // The part's only frame would be the one that is dropped.
    if (from > 0 && to === from + 1) break;
    using owned = new DisposableStack();
    const part = await decodePart(video, { ...options, from, to }, owned);
    const { width, height } = part;
    const picture = { width, height, data: new Float32Array(3 * height * width) };
    const count = part.channels / 3;
    // The first latent frame of a part gives one frame, as at the start of a video. All later ones give four.
    const first = from === 0 ? 0 : 1;
    const end = PART_STRIDE * GROWTH + 1;
    const last: Float32Array[] = [];
    for (let i = first; i < count; i++) {
      copyFrame(part, { index: i, to: picture.data });
      fadeIn(picture.data, { index: i - first, length: count - first, previous });
      if (i >= count - BLENDED_FRAMES) last.push(picture.data.slice());
      if (i >= end) continue;
      if (hidden > 0) hidden--;
      else yield picture;
    }
    previous = last;
  }
}

/** Copies frame `index` of the planes, which are ordered by colour and then by frame. */
function copyFrame(
  { channels, height, width, data }: Planes,
  { index, to }: { index: number; to: Float32Array },
): void {
  const area = height * width;
  for (let colour = 0; colour < 3; colour++) {
    const start = (colour * channels / 3 + index) * area;
    to.set(data.subarray(start, start + area), colour * area);
  }
}

/** Blends the first frames of a part of `length` frames with the last frames of the part before. */
function fadeIn(
  data: Float32Array,
  { index, length, previous }: { index: number; length: number; previous: readonly Float32Array[] },
): void {
  const count = Math.min(previous.length, length);
  if (index >= count) return;
  const before = previous[previous.length - count + index]!;
  const share = index / count;
  for (let i = 0; i < data.length; i++) data[i] = before[i]! * (1 - share) + data[i]! * share;
}

/**
 * Decodes latent frames `from` to `to` on their own into planes [3 * frames,
 * height, width], which `owned` may own.
 */
async function decodePart(
  { size, data, signal }: VideoToDecode,
  { runtime, vae, scale, tiling, from, to }: HunyuanVideoDecoderOptions & { from: number; to: number },
  owned: DisposableStack,
): Promise<Planes> {
  const { channels, height, width } = size;
  const count = to - from;
  const latents = { channels: channels * count, height, width, data: videoLatents(data, { size, from, to }) };
  const run = async (part: Planes): Promise<Tensor<"float32">> => {
    using latent = runtime.tensor("float32", [1, channels, count, part.height, part.width], part.data);
    return (await vae.run({ latent }, { signal }))["sample"]!.as("float32");
  };
  const layout = tileFrames(tiling, { height, width, scale });
  if (layout === undefined) {
    const sample = owned.use(await run(latents));
    return planesOf(sample, sample.location === "cpu" ? sample.data() : await sample.toArray());
  }
  const decode = async (tile: Planes): Promise<Planes> => {
    using sample = await run(tile);
    return planesOf(sample, await sample.toArray());
  };
  return await blendTiles(latents, { layout, decode });
}

function planesOf({ dims }: Tensor, data: Float32Array<ArrayBuffer>): Planes {
  const [, colours, frames, height, width] = dims as [number, number, number, number, number];
  return { channels: colours * frames, height, width, data };
}
