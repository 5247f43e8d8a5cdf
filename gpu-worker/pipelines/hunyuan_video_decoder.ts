// Latents of a clip to frames in parts that overlap in time, and tiles within them: _temporal_tiled_decode and
// tiled_decode of diffusers' AutoencoderKLHunyuanVideo.
import { MAX_LATENT_FRAMES } from "../graph/autoencoder_kl_hunyuan_video_decoder.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { Runtime } from "../runtime/mod.ts";
import { blendTiles, crop, type Planes } from "./blend_tiles.ts";
import { clipLatents } from "./clip_latents.ts";
import type { ClipSize } from "./clip_size.ts";
import type { GraphSession } from "./session_loader.ts";

export interface HunyuanVideoDecoderOptions {
  runtime: Runtime;
  /** latent [1, channels, frames, h, w] -> sample [1, 3, 4 (frames - 1) + 1, f h, f w] */
  vae: GraphSession;
  /** f, pixels of a latent pixel's side. */
  scale: number;
  /** Decodes what is larger than one tile in tiles. @default whole frames, as diffusers does unless told otherwise */
  tiling?: SpatialTiling | undefined;
}

/** In pixels. */
export interface SpatialTiling {
  /** Of a tile's side. */
  side: number;
  /** From one tile to the next. */
  stride: number;
}

/** enable_tiling() without arguments. */
export const SPATIAL_TILING: SpatialTiling = { side: 256, stride: 192 };
/** tile_sample_min_num_frames and tile_sample_stride_num_frames over the temporal compression ratio, and their difference. */
const [PART, PART_STRIDE, BLENDED_FRAMES] = [MAX_LATENT_FRAMES - 1, 3, 4];
/** Frames of pixels for each latent frame but the first. */
const GROWTH = 4;

export interface ClipToDecode {
  size: ClipSize;
  /** [channels, frames, height, width] in the denoiser's scale. */
  data: Float32Array;
  signal?: AbortSignal | undefined;
}

/**
 * Yields the frames in order, [3, height, width] in -1..1, not clamped, in memory of their own. What is held besides is
 * bounded by a part of MAX_LATENT_FRAMES latent frames, however long the clip.
 * @throws the signal's reason, once it is aborted.
 */
export async function* decodeHunyuanVideo(
  clip: ClipToDecode,
  options: HunyuanVideoDecoderOptions,
): AsyncGenerator<DecodedImage> {
  const { frames } = clip.size;
  if (frames <= PART) return yield* await decodePart(clip, options, { from: 0, to: frames });
  let previous: DecodedImage[] = [];
  for (let from = 0; from < frames; from += PART_STRIDE) {
    const to = Math.min(frames, from + MAX_LATENT_FRAMES);
    // Its only frame would be the one that is dropped.
    if (from > 0 && to === from + 1) break;
    const decoded = await decodePart(clip, options, { from, to });
    // A part begins with a frame that stands for one, as a clip does; all later ones stand for four.
    const part = from === 0 ? decoded : decoded.slice(1);
    blendFrames(previous, part);
    yield* part.slice(0, PART_STRIDE * GROWTH + (from === 0 ? 1 : 0));
    previous = part.slice(-BLENDED_FRAMES);
  }
}

/** Fades the last frames of one part into the first of the next. */
function blendFrames(previous: readonly DecodedImage[], part: readonly DecodedImage[]): void {
  const count = Math.min(previous.length, part.length, BLENDED_FRAMES);
  for (let i = 0; i < count; i++) {
    const before = previous[previous.length - count + i]!.data;
    const { data } = part[i]!;
    const share = i / count;
    for (let j = 0; j < data.length; j++) data[j] = before[j]! * (1 - share) + data[j]! * share;
  }
}

/** The frames that latent frames `from` to `to` give by themselves. */
async function decodePart(
  { size, data, signal }: ClipToDecode,
  { runtime, vae, scale, tiling }: HunyuanVideoDecoderOptions,
  { from, to }: { from: number; to: number },
): Promise<DecodedImage[]> {
  const { channels, height, width } = size;
  const count = to - from;
  const latents = { channels: channels * count, height, width, data: clipLatents(data, { size, from, to }) };
  const run = async (tile: Planes): Promise<Planes> => {
    const dims = [1, channels, count, tile.height, tile.width];
    using latent = runtime.tensor("float32", dims, tile.data);
    using sample = (await vae.run({ latent }, { signal }))["sample"]!;
    const [, colours, frames, height, width] = sample.dims as [number, number, number, number, number];
    return { channels: colours * frames, height, width, data: await sample.as("float32").toArray() };
  };
  const side = tiling && Math.floor(tiling.side / scale);
  if (side === undefined || Math.max(height, width) <= side) return framesOf(await run(latents));
  const planes = await blendTiles((y, x) => run(crop(latents, { y, x, side })), {
    height,
    width,
    scale,
    stride: Math.floor(tiling!.stride / scale),
    blend: tiling!.side - tiling!.stride,
    keep: tiling!.stride,
  });
  return framesOf(planes);
}

/** Cuts [3 * frames, height, width], frames of one colour after the other, into pictures. */
function framesOf({ channels, height, width, data }: Planes): DecodedImage[] {
  const frames = channels / 3;
  const area = height * width;
  return Array.from({ length: frames }, (_, frame) => {
    const picture = new Float32Array(3 * area);
    for (let colour = 0; colour < 3; colour++) {
      const start = (colour * frames + frame) * area;
      picture.set(data.subarray(start, start + area), colour * area);
    }
    return { width, height, data: picture };
  });
}
