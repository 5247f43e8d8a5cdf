// Runs a causal video VAE piece by piece. Memory holds one piece, and the past frames that the next piece
// needs, however long the video is (AutoencoderKLWan._decode and tiled_decode of diffusers).
import { CACHED_FRAMES, type FrameCacheSlot, NEXT } from "./frame_cache.ts";
import type { DecodedImage } from "../../media/decoded_image.ts";
import type { Runtime, Tensor } from "../../runtime/mod.ts";
import { blendTiles, type Planes, type TileLayout } from "../../vae/blend_tiles.ts";
import { videoLatents } from "../../vae/video_latents.ts";
import { tileFrames, type VideoTiling } from "../../vae/video_tiling.ts";
import type { GraphSession } from "../../session/session_loader.ts";
import type { VideoToDecode } from "../../pipeline/latent_decoder.ts";

export interface WanDecoder {
  runtime: Runtime;
  /** A graph that `autoencoderKLWanDecoder` has built. */
  vae: GraphSession;
  caches: readonly FrameCacheSlot[];
  /** Pixels along the side of a latent pixel. */
  scale: number;
  /** Tiles for larger frames. @default none: frames are decoded whole */
  tiling?: VideoTiling | undefined;
}

/**
 * Yields a video's frames in order, not clamped. A frame's data is valid until the next frame is requested:
 * copies would produce garbage of the size of the video.
 * @throws the signal's reason, once it is aborted.
 */
export async function* decodeWan(decoder: WanDecoder, video: VideoToDecode): AsyncGenerator<DecodedImage> {
  const layout = tileFrames(decoder.tiling, { ...video.size, scale: decoder.scale });
  if (layout !== undefined) return yield* decodeTiled(decoder, video, layout);
  using place = new Place(decoder, video.size);
  for (let frame = 0; frame < video.size.frames; frame++) {
    using sample = await place.run(latentsAt(video, frame), video.signal);
    const values = sample.as("float32");
    const data = sample.location === "cpu" ? values.data() : await values.toArray();
    const [, , rows, columns] = sample.dims as [number, number, number, number];
    yield* picturesOf({ height: rows, width: columns, data });
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
    yield* picturesOf(await blendTiles(latentsAt(video, frame), { layout, decode }));
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

/** Splits [frames, 3, height, width] into pictures that share its memory. */
function* picturesOf(
  { height, width, data }: { height: number; width: number; data: Float32Array },
): Generator<DecodedImage> {
  const length = 3 * height * width;
  for (let start = 0; start < data.length; start += length) {
    yield { width, height, data: data.subarray(start, start + length) };
  }
}
