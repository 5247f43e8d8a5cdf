// Decodes pictures in overlapping tiles that fade into each other (tiled_decode of diffusers' autoencoders).

/** Planes of one size, one channel after the other. */
export interface Planes {
  channels: number;
  height: number;
  width: number;
  data: Float32Array<ArrayBuffer>;
}

export interface TileLayout {
  /** Pixels along the side of a latent pixel. */
  scale: number;
  /** Side of a tile, in latent pixels. */
  side: number;
  /** Latent pixels from one tile to the next. */
  stride: number;
  /** Pixels over which neighbouring tiles fade into each other. */
  blend: number;
  /** Side of the part of a tile that is kept, from its upper left corner, in pixels. */
  keep: number;
}

export interface BlendTilesOptions {
  layout: TileLayout;
  /**
   * Decodes a tile. The result is written to. Indices count from 0 and agree for all latents of one size.
   */
  decode: (tile: Planes, index: number) => Promise<Planes>;
}

/**
 * Decodes tiles from left to right and from top to bottom, and blends each with the tiles before it. The last
 * tile of a row or column may be smaller. Memory holds the picture, one row of tiles and the row above.
 */
export async function blendTiles(latents: Planes, { layout, decode }: BlendTilesOptions): Promise<Planes> {
  const { height, width } = latents;
  const { scale, side, stride, blend, keep } = layout;
  let picture: Planes | undefined;
  let above: Planes[] = [];
  let index = 0;
  for (let y = 0, top = 0; y < height; y += stride, top += keep) {
    const row: Planes[] = [];
    for (let x = 0, left = 0; x < width; x += stride, left += keep) {
      const tile = await decode(crop(latents, { y, x, side }), index++);
      // diffusers' order: the neighbours are already blended with their own neighbours.
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

/** Returns the part of `latents` from (y, x) on, at most `side` latent pixels a side. */
function crop(latents: Planes, { y, x, side }: { y: number; x: number; side: number }): Planes {
  const tile = blank(latents.channels, Math.min(side, latents.height - y), Math.min(side, latents.width - x));
  for (let c = 0; c < latents.channels; c++) {
    for (let row = 0; row < tile.height; row++) {
      const from = (c * latents.height + y + row) * latents.width + x;
      tile.data.set(latents.data.subarray(from, from + tile.width), (c * tile.height + row) * tile.width);
    }
  }
  return tile;
}

function blank(channels: number, height: number, width: number): Planes {
  return { channels, height, width, data: new Float32Array(channels * height * width) };
}
