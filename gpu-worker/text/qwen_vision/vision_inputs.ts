// The inputs of Qwen's vision towers besides pixels, which follow from a picture's grid of patches
// (transformers' vision_utils.py).
import type { QwenVisionConfig } from "../../graph/vision_encoders/qwen_vision_config.ts";
import type { ImageSize } from "../../media/decoded_image.ts";
import type { HostTensor } from "../host_tensor.ts";
import { patchPlaces } from "./image_processor.ts";

/** Added to the scores of a window's empty places. Its exponential is 0, and float16 can represent it. */
const NO_PATCH = -6e4;
const THETA = 10000;

/** Returns the inputs by the names of `qwenVisionEncoderGraph`, except pixel_values. */
export function visionInputs(grid: ImageSize, config: QwenVisionConfig): Record<string, HostTensor> {
  return {
    ...rotaryTables(grid, config),
    ...config.windows && windowsOf(grid, { ...config, side: config.windows.side }),
    ...config.deepstack && learntPositions(grid, { ...config, gridSide: config.deepstack.gridSide }),
  };
}

/** Rows turn the first half of a head's pairs of channels, columns the second. */
function rotaryTables(grid: ImageSize, { headDim, mergeSize }: QwenVisionConfig): Record<string, HostTensor> {
  const { fround } = Math;
  const perAxis = headDim / 4;
  const frequencies = Array.from(
    { length: perAxis },
    (_, i) => fround(1 / fround(THETA ** fround(2 * i / (headDim / 2)))),
  );
  const places = patchPlaces(grid, mergeSize);
  const dims = [places.length, headDim / 2];
  const [cos, sin] = [new Float32Array(places.length * dims[1]!), new Float32Array(places.length * dims[1]!)];
  let at = 0;
  for (const { row, column } of places) {
    for (const position of [row, column]) {
      for (const frequency of frequencies) {
        const angle = fround(position * frequency);
        cos[at] = Math.cos(angle);
        sin[at++] = Math.sin(angle);
      }
    }
  }
  return {
    rotary_cos: { dtype: "float32", dims, data: cos },
    rotary_sin: { dtype: "float32", dims, data: sin },
  };
}

/** Windows of side x side tokens, row-major. Those at the right and at the bottom have empty places. */
function windowsOf(
  grid: ImageSize,
  { side, mergeSize }: { side: number; mergeSize: number },
): Record<string, HostTensor> {
  const [columns, rows] = [grid.width / mergeSize, grid.height / mergeSize];
  const perToken = mergeSize ** 2;
  const [across, down] = [Math.ceil(columns / side), Math.ceil(rows / side)];
  const dims = [across * down, side ** 2 * perToken];
  const patches = new BigInt64Array(dims[0]! * dims[1]!);
  const scores = new Float32Array(patches.length).fill(NO_PATCH);
  const places = new BigInt64Array(columns * rows * perToken);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const window = Math.floor(row / side) * across + Math.floor(column / side);
      const place = window * side ** 2 + (row % side) * side + column % side;
      for (let i = 0; i < perToken; i++) {
        const patch = (row * columns + column) * perToken + i;
        const at = place * perToken + i;
        patches[at] = BigInt(patch);
        scores[at] = 0;
        places[patch] = BigInt(at);
      }
    }
  }
  return {
    window_patches: { dtype: "int64", dims, data: patches },
    window_scores: { dtype: "float32", dims, data: scores },
    patch_places: { dtype: "int64", dims: [places.length], data: places },
  };
}

/**
 * Each patch's four neighbours in the learnt grid, which is stretched over the picture, and their weights.
 */
function learntPositions(
  grid: ImageSize,
  { gridSide, mergeSize }: { gridSide: number; mergeSize: number },
): Record<string, HostTensor> {
  const places = patchPlaces(grid, mergeSize);
  const indices = new BigInt64Array(places.length * 4);
  const weights = new Float32Array(places.length * 4);
  let at = 0;
  for (const { row, column } of places) {
    const down = neighbours(row, { size: grid.height, side: gridSide });
    const across = neighbours(column, { size: grid.width, side: gridSide });
    for (const y of down) {
      for (const x of across) {
        indices[at] = BigInt(y.index * gridSide + x.index);
        weights[at++] = y.weight * x.weight;
      }
    }
  }
  const dims = [places.length, 4];
  return {
    position_indices: { dtype: "int64", dims, data: indices },
    position_weights: { dtype: "float32", dims, data: weights },
  };
}

/** Bilinear interpolation with aligned corners, in float32 as transformers computes it. */
function neighbours(
  position: number,
  { size, side }: { size: number; side: number },
): { index: number; weight: number }[] {
  const { fround } = Math;
  const source = fround(fround(position * (side - 1)) / Math.max(1, size - 1));
  const floor = Math.floor(source);
  return [0, 1].map((offset) => ({
    index: Math.min(side - 1, floor + offset),
    weight: Math.max(0, fround(1 - Math.abs(fround(fround(source - floor) - offset)))),
  }));
}
