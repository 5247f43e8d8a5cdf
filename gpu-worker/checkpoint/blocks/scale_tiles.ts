// The order of block scales in memory: cuBLAS's tiles of 128 rows and 4 blocks
// (https://docs.nvidia.com/cuda/cublas/#d-block-scaling-factors-layout), which ComfyUI's files have.

/** Rows and blocks of a tile. */
const [ROWS, BLOCKS] = [128, 4];
/** Rows that lie together in a tile: rows 0, 32, 64 and 96 are neighbours. */
const STRIPE = 32;

/** Returns the shape of the scales of `rows` rows of `blocks` blocks, in whole tiles. */
export function tiledShape(rows: number, blocks: number): [rows: number, blocks: number] {
  return [Math.ceil(rows / ROWS) * ROWS, Math.ceil(blocks / BLOCKS) * BLOCKS];
}

/** Returns the tiles that hold the scales of rows, in bytes of one-byte scales. */
export function tilesOf(
  { from, to }: { from: number; to: number },
  blocks: number,
): { offset: number; byteLength: number } {
  const [, width] = tiledShape(0, blocks);
  const first = Math.floor(from / ROWS);
  const last = Math.ceil(to / ROWS);
  return { offset: first * ROWS * width, byteLength: (last - first) * ROWS * width };
}

/** Returns the place of a block's scale among all of the tensor's. */
export function placeInTiles(row: number, block: number, blocks: number): number {
  const [, width] = tiledShape(0, blocks);
  const tile = Math.floor(row / ROWS) * (width / BLOCKS) + Math.floor(block / BLOCKS);
  const stripe = Math.floor(row % ROWS / STRIPE);
  return tile * ROWS * BLOCKS + row % STRIPE * (ROWS / STRIPE * BLOCKS) + stripe * BLOCKS + block % BLOCKS;
}
