// Runs a causal video VAE piece by piece. Memory holds one piece, and the past frames that the next piece
// needs, however long the video is (AutoencoderKLWan._decode and tiled_decode of diffusers).
import { CACHED_FRAMES, type FrameCacheSlot, NEXT } from "../graph/wan_vae/frame_cache.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import { blendTiles, type Planes, type TileLayout } from "./blend_tiles.ts";
import { videoLatents } from "./video_latents.ts";
import { tileFrames, type VideoTiling } from "./video_tiling.ts";
import type { GraphSession } from "../session/session_loader.ts";
import type { VideoToDecode } from "./video_to_decode.ts";

export interface WanDecoder {
  runtime: Runtime;
  /** A graph that `wanVaeDecoder` has built. */
  vae: GraphSession;
  caches: readonly FrameCacheSlot[];
  /** Pixels along the side of a latent pixel. */
  scale: number;
  /** Side of the squares of pixels that the graph writes as channels. @default 1 */
  patchSize?: number | undefined;
  /** Tiles for larger frames. @default none: frames are decoded whole */
  tiling?: VideoTiling | undefined;
}

/**
 * Yields a video's frames in order, not clamped. A frame's data is valid until the next frame is requested:
 * copies would produce garbage of the size of the video.
 * @throws the signal's reason, once it is aborted.
 */
export async function* decodeWan(decoder: WanDecoder, video: VideoToDecode): AsyncGenerator<DecodedImage> {
  const { tiling, scale, patchSize = 1 } = decoder;
  // diffusers blends tiles before it puts the pixels of a patch in their places.
  const layout = tileFrames(
    tiling && { side: tiling.side / patchSize, stride: tiling.stride / patchSize },
    { ...video.size, scale: scale / patchSize },
  );
  if (layout !== undefined) return yield* decodeTiled(decoder, video, layout);
  using place = new Place(decoder, video.size);
  for (let frame = 0; frame < video.size.frames; frame++) {
    using sample = await place.run(latentsAt(video, frame), video.signal);
    const values = sample.as("float32");
    const data = sample.location === "cpu" ? values.data() : await values.toArray();
    const [, , rows, columns] = sample.dims as [number, number, number, number];
    yield* picturesOf({ height: rows, width: columns, data }, patchSize);
  }
}

/** Decodes tiles. Each tile has its own past; neighbours are blended frame by frame. */
async function* decodeTiled(
  decoder: WanDecoder,
  video: VideoToDecode,
  layout: TileLayout,
): AsyncGenerator<DecodedImage> {
  using owned = new DisposableStack();
  const places: Place[] = [];
  const decode = async (tile: Planes, index: number): Promise<Planes> => {
    const place = places[index] ??= owned.use(new Place(decoder, tile));
    using sample = await place.run(tile, video.signal);
    const [count, colours, height, width] = sample.dims as [number, number, number, number];
    return { channels: count * colours, height, width, data: await sample.as("float32").toArray() };
  };
  for (let frame = 0; frame < video.size.frames; frame++) {
    yield* picturesOf(await blendTiles(latentsAt(video, frame), { layout, decode }), decoder.patchSize);
  }
}

/** One tile of the picture and the past that the graph keeps for it. */
class Place implements Disposable {
  readonly #decoder: WanDecoder;
  #past: Record<string, Tensor> = {};
  #isFirst = true;

  constructor(decoder: WanDecoder, { height, width }: { height: number; width: number }) {
    this.#decoder = decoder;
    for (const { name, channels, scale } of decoder.caches) {
      const dims = [CACHED_FRAMES, channels, height * scale, width * scale];
      const zeros = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
      this.#past[name] = decoder.runtime.tensor("float32", dims, zeros);
    }
  }

  /**
   * Decodes the next latent frame.
   * @returns its frames, [frames, 3, h, w]
   */
  async run({ channels, height, width, data }: Planes, signal: AbortSignal | undefined): Promise<Tensor> {
    const { runtime, vae, caches } = this.#decoder;
    using latent = runtime.tensor("float32", [1, channels, height, width], data);
    using first = runtime.tensor("int64", [1], BigInt64Array.of(this.#isFirst ? 1n : 0n));
    const results = await vae.run({ latent, first, ...this.#past }, signal && { signal });
    this[Symbol.dispose]();
    this.#past = Object.fromEntries(caches.map(({ name }) => [name, results[`${NEXT}${name}`]!]));
    this.#isFirst = false;
    return results["sample"]!;
  }

  [Symbol.dispose](): void {
    for (const tensor of Object.values(this.#past)) tensor[Symbol.dispose]();
    this.#past = {};
  }
}

function latentsAt({ size, data }: VideoToDecode, frame: number): Planes {
  const { channels, height, width } = size;
  return { channels, height, width, data: videoLatents(data, { size, from: frame, to: frame + 1 }) };
}

/**
 * Splits [frames, 3 patch^2, height, width] into pictures. Without patches they share its memory.
 */
function* picturesOf(
  { height, width, data }: { height: number; width: number; data: Float32Array },
  patchSize = 1,
): Generator<DecodedImage> {
  const length = 3 * patchSize ** 2 * height * width;
  for (let start = 0; start < data.length; start += length) {
    const picture = { width, height, data: data.subarray(start, start + length) };
    yield patchSize === 1 ? picture : joinPatches(picture, patchSize);
  }
}

/**
 * Puts the pixels of each patch in their places: unpatchify() of diffusers, whose columns come before rows.
 */
function joinPatches({ width, height, data }: DecodedImage, patchSize: number): DecodedImage {
  const picture = new Float32Array(data.length);
  let from = 0;
  for (let colour = 0; colour < 3; colour++) {
    for (let column = 0; column < patchSize; column++) {
      for (let row = 0; row < patchSize; row++) {
        for (let y = 0; y < height; y++) {
          const to = ((colour * height + y) * patchSize + row) * width * patchSize + column;
          for (let x = 0; x < width; x++) picture[to + x * patchSize] = data[from++]!;
        }
      }
    }
  }
  return { width: width * patchSize, height: height * patchSize, data: picture };
}
