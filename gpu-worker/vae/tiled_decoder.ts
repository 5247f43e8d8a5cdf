// A VAE decoder that decodes large latents in overlapping tiles and blends them (diffusers'
// AutoencoderKL.tiled_decode).
import type { AutoencoderKLConfig } from "../graph/autoencoder_kl/autoencoder_kl_config.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import { blendTiles, type Planes, type TileLayout } from "./blend_tiles.ts";
import type { GraphSession } from "../session/session_loader.ts";

export interface TilingOptions {
  runtime: Runtime;
  config: Pick<AutoencoderKLConfig, "sample_size" | "block_out_channels">;
  /** Pixels along the side of a latent pixel. @default 2^(blocks - 1) */
  scale?: number;
  /**
   * Tiles every picture that is larger than one tile. If false, tiles only pictures with a side above 2048
   * pixels. @default false
   */
  vaeTiling?: boolean;
}

/** Longest side, in pixels, that a decoder without tiling decodes whole. */
const MAX_UNTILED_SIDE = 2048;
/** AutoencoderKL's tile_overlap_factor. */
const OVERLAP = 0.25;

/**
 * Wraps `vae`, a graph latent [1, channels, h, w] -> sample [1, 3, f h, f w], with the same input and output.
 * A tile has the size that the autoencoder was trained for ('sample_size' in its config), which bounds
 * memory. The picture differs a little from an untiled one, as each tile is normalised on its own.
 */
export function tiledDecoder(
  vae: GraphSession,
  { runtime, ...options }: TilingOptions,
): GraphSession {
  const { untiled, ...layout } = tileSizes(options);
  if (untiled === Infinity) return vae;
  const layoutOf = ({ height, width }: TiledSize) => Math.max(height, width) <= untiled ? undefined : layout;
  return tiledSession(vae, { runtime, layoutOf });
}

/** Size of latents. */
export type TiledSize = Pick<Planes, "height" | "width">;

/**
 * Wraps `vae`, as above.
 * @param options.layoutOf returns the tiles for latents of a size, or undefined to decode them whole
 */
export function tiledSession(
  vae: GraphSession,
  { runtime, layoutOf }: { runtime: Runtime; layoutOf: (size: TiledSize) => TileLayout | undefined },
): GraphSession {
  return {
    inputNames: vae.inputNames,
    async run(feeds, options) {
      const [, channels, height, width] = feeds["latent"]!.dims as [number, number, number, number];
      const layout = layoutOf({ height, width });
      if (layout === undefined) return await vae.run(feeds, options);
      const latents = { channels, height, width, data: await feeds["latent"]!.as("float32").toArray() };
      const decode = async ({ height, width, data }: Planes): Promise<Planes> => {
        using latent = runtime.tensor("float32", [1, channels, height, width], data);
        using sample = (await vae.run({ latent }, options))["sample"]!;
        return planesOf(sample, await sample.as("float32").toArray());
      };
      const sample = await blendTiles(latents, { layout, decode });
      return {
        sample: runtime.tensor("float32", [1, sample.channels, sample.height, sample.width], sample.data),
      };
    },
  };
}

interface TileSizes extends TileLayout {
  /** Longest side that is decoded whole, in latent pixels. */
  untiled: number;
}

export function tileSizes(
  { config: { sample_size, block_out_channels }, vaeTiling = false, ...options }: Omit<
    TilingOptions,
    "runtime"
  >,
): TileSizes {
  const { scale = 2 ** (block_out_channels.length - 1) } = options;
  const sampleSide = typeof sample_size === "number" ? sample_size : sample_size[0]!;
  const side = Math.floor(sampleSide / scale);
  const stride = Math.floor(side * (1 - OVERLAP));
  const blend = Math.floor(sampleSide * OVERLAP);
  const keep = sampleSide - blend;
  const longest = vaeTiling ? side : Math.max(side, MAX_UNTILED_SIDE / scale);
  // Sizes that are not divisible by four would leave gaps between tiles. No published autoencoder has one.
  const untiled = stride * scale === keep ? longest : Infinity;
  return { scale, side, untiled, stride, blend, keep };
}

function planesOf({ dims }: Tensor, data: Float32Array<ArrayBuffer>): Planes {
  const [, channels, height, width] = dims as [number, number, number, number];
  return { channels, height, width, data };
}
