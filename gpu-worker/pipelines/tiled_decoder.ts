// A VAE decoder that takes large latents in overlapping tiles and blends them (diffusers' AutoencoderKL.tiled_decode).
import type { AutoencoderKLConfig } from "../graph/autoencoder_kl_config.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import type { GraphSession } from "./session_loader.ts";

export interface TilingOptions {
  runtime: Runtime;
  config: AutoencoderKLConfig;
  /** Tiles whatever is larger than one tile; otherwise only pictures with a side above 2048 pixels. @default false */
  vaeTiling?: boolean;
}

/** Pixels of a side, up to which a decoder without tiling is given the whole picture. */
const MAX_UNTILED_SIDE = 2048;
/** AutoencoderKL's tile_overlap_factor. */
const OVERLAP = 0.25;

/** Planes of one size, channel after channel. */
interface Planes {
  channels: number;
  height: number;
  width: number;
  data: Float32Array<ArrayBuffer>;
}

/**
 * Wraps `vae`, a graph latent [1, channels, h, w] -> sample [1, 3, f h, f w], with the same input and output. Its memory is
 * bounded by the tile, which is the size that the autoencoder was trained for ('sample_size' in its config). The picture
 * differs a little from an untiled one, as each tile is normalised by itself.
 */
export function tiledDecoder(
  vae: GraphSession,
  { runtime, config: { sample_size, block_out_channels }, vaeTiling = false }: TilingOptions,
): GraphSession {
  const scale = 2 ** (block_out_channels.length - 1);
  const sampleSide = typeof sample_size === "number" ? sample_size : sample_size[0]!;
  const latentSide = Math.floor(sampleSide / scale);
  const untiled = vaeTiling ? latentSide : Math.max(latentSide, MAX_UNTILED_SIDE / scale);
  const stride = Math.floor(latentSide * (1 - OVERLAP));
  const blend = Math.floor(sampleSide * OVERLAP);
  const keep = sampleSide - blend;
  // Sizes that four does not divide would leave gaps between tiles; no published autoencoder has one.
  if (stride * scale !== keep) return vae;

  return {
    async run(feeds, options) {
      const [, channels, height, width] = feeds["latent"]!.dims as [number, number, number, number];
      if (Math.max(height, width) <= untiled) return await vae.run(feeds, options);
      const latent = { channels, height, width, data: await feeds["latent"]!.as("float32").toArray() };
      const decode = async (y: number, x: number): Promise<Planes> => {
        const { data, ...size } = crop(latent, { y, x, side: latentSide });
        using tile = runtime.tensor("float32", [1, channels, size.height, size.width], data);
        using sample = (await vae.run({ latent: tile }, options))["sample"]!;
        return planesOf(sample, await sample.as("float32").toArray());
      };
      const sample = await assemble(decode, { height, width, scale, stride, blend, keep });
      return {
        sample: runtime.tensor("float32", [1, sample.channels, sample.height, sample.width], sample.data),
      };
    },
  };
}

interface Layout {
  /** Of the latents. */
  height: number;
  width: number;
  /** Pixels of a latent pixel's side. */
  scale: number;
  /** Latent pixels from one tile to the next. */
  stride: number;
  /** Pixels over which neighbours fade into each other. */
  blend: number;
  /** Pixels of a tile that stay, from its upper left corner. */
  keep: number;
}

/** Only a row of tiles and the one above it are in memory beside the picture. */
async function assemble(
  decode: (y: number, x: number) => Promise<Planes>,
  { height, width, scale, stride, blend, keep }: Layout,
): Promise<Planes> {
  let picture: Planes | undefined;
  let above: Planes[] = [];
  for (let y = 0, top = 0; y < height; y += stride, top += keep) {
    const row: Planes[] = [];
    for (let x = 0, left = 0; x < width; x += stride, left += keep) {
      const tile = await decode(y, x);
      // In diffusers' order, on tiles that are already blended with their own neighbours.
      const upper = above[row.length];
      if (upper !== undefined) blendRows(upper, tile, blend);
      const previous = row.at(-1);
      if (previous !== undefined) blendColumns(previous, tile, blend);
      row.push(tile);
      picture ??= blank(tile.channels, height * scale, width * scale);
      paste(tile, picture, { top, left, keep });
    }
    above = row;
  }
  return picture!;
}

function blendRows(above: Planes, tile: Planes, extent: number): void {
  const rows = Math.min(above.height, tile.height, extent);
  for (let c = 0; c < tile.channels; c++) {
    for (let y = 0; y < rows; y++) {
      const from = (c * above.height + above.height - rows + y) * above.width;
      const to = (c * tile.height + y) * tile.width;
      for (let x = 0; x < tile.width; x++) fade(tile, to + x, above.data[from + x]!, y / rows);
    }
  }
}

function blendColumns(left: Planes, tile: Planes, extent: number): void {
  const columns = Math.min(left.width, tile.width, extent);
  for (let line = 0; line < tile.channels * tile.height; line++) {
    const from = (line + 1) * left.width - columns;
    for (let x = 0; x < columns; x++) fade(tile, line * tile.width + x, left.data[from + x]!, x / columns);
  }
}

function fade({ data }: Planes, index: number, neighbour: number, share: number): void {
  data[index] = neighbour * (1 - share) + data[index]! * share;
}

function paste(
  tile: Planes,
  picture: Planes,
  { top, left, keep }: { top: number; left: number; keep: number },
): void {
  const height = Math.min(keep, tile.height, picture.height - top);
  const width = Math.min(keep, tile.width, picture.width - left);
  for (let c = 0; c < tile.channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * tile.height + y) * tile.width;
      const to = (c * picture.height + top + y) * picture.width + left;
      picture.data.set(tile.data.subarray(from, from + width), to);
    }
  }
}

function crop(latent: Planes, { y, x, side }: { y: number; x: number; side: number }): Planes {
  const tile = blank(latent.channels, Math.min(side, latent.height - y), Math.min(side, latent.width - x));
  for (let c = 0; c < latent.channels; c++) {
    for (let row = 0; row < tile.height; row++) {
      const from = (c * latent.height + y + row) * latent.width + x;
      tile.data.set(latent.data.subarray(from, from + tile.width), (c * tile.height + row) * tile.width);
    }
  }
  return tile;
}

function blank(channels: number, height: number, width: number): Planes {
  return { channels, height, width, data: new Float32Array(channels * height * width) };
}

function planesOf({ dims }: Tensor, data: Float32Array<ArrayBuffer>): Planes {
  const [, channels, height, width] = dims as [number, number, number, number];
  return { channels, height, width, data };
}
