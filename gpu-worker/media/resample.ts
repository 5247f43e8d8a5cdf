// Resizes pixels as Pillow does, bit by bit: two passes of a fixed-point filter. Source: Pillow's Resample.c.
import { letOthersRun } from "../../protocol/process/let_others_run.ts";

/** Interleaved 8-bit pixels, [height, width, channels]. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8Array;
}

export type ResampleFilter = "lanczos" | "bicubic";

/** Bits behind the point of a filter's weights. */
const PRECISION_BITS = 22;
/** Products between two pauses, in which other work of the process goes on: some milliseconds. */
const PRODUCTS_AT_ONCE = 2 ** 22;

const FILTERS: Record<ResampleFilter, { support: number; weight: (x: number) => number }> = {
  lanczos: { support: 3, weight: (x) => -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0 },
  bicubic: { support: 2, weight: bicubic },
};

/** Returns `pixels` in another size. */
export async function resample(
  pixels: Pixels,
  { width, height, filter }: { width: number; height: number; filter: ResampleFilter },
): Promise<Pixels> {
  const channels = pixels.data.length / (pixels.width * pixels.height);
  const toWidth = async (source: Pixels) => {
    if (width === source.width) return source;
    const row = {
      from: source.width,
      to: width,
      channels,
      taps: filterTaps(source.width, { size: width, filter }),
    };
    const data = new Uint8Array(source.height * width * channels);
    const products = channels * row.taps.reduce((sum, { weights }) => sum + weights.length, 0);
    await eachRow(source.height, { products, visit: (y) => resampleRow(source.data, data, { ...row, y }) });
    return { ...source, width, data };
  };
  const toHeight = async (source: Pixels) => {
    if (height === source.height) return source;
    const taps = filterTaps(source.height, { size: height, filter });
    const stride = source.width * channels;
    const data = new Uint8Array(height * stride);
    const products = stride * taps[0]!.weights.length;
    await eachRow(height, {
      products,
      visit: (y) => sumRows(source.data, data, { y, stride, tap: taps[y]! }),
    });
    return { ...source, height, data };
  };
  // Each pass rounds to bytes, so their order shows. This is Pillow 13's; older ones always began with the
  // rows.
  const columnsFirst = height < pixels.height && 2 * (pixels.width - width) < pixels.height - height;
  return columnsFirst ? await toWidth(await toHeight(pixels)) : await toHeight(await toWidth(pixels));
}

/** The source pixels of one pixel: their first index and their weights. */
interface Tap {
  first: number;
  weights: Int32Array;
}

function filterTaps(from: number, { size, filter }: { size: number; filter: ResampleFilter }): Tap[] {
  const { support: reach, weight } = FILTERS[filter];
  const scale = from / size;
  const stretch = Math.max(1, scale);
  const support = reach * stretch;
  return Array.from({ length: size }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const weights = Float64Array.from(
      { length: end - first },
      (_, x) => weight((x + first - center + 0.5) / stretch),
    );
    const sum = weights.reduce((total, value) => total + value, 0);
    return { first, weights: Int32Array.from(weights, (value) => toFixed(sum === 0 ? value : value / sum)) };
  });
}

function toFixed(weight: number): number {
  return Math.trunc(weight * 2 ** PRECISION_BITS + (weight < 0 ? -0.5 : 0.5));
}

function resampleRow(
  source: Uint8Array,
  target: Uint8Array,
  { y, from, to, channels, taps }: {
    y: number;
    from: number;
    to: number;
    channels: number;
    taps: readonly Tap[];
  },
): void {
  let at = y * to * channels;
  for (const { first, weights } of taps) {
    const start = (y * from + first) * channels;
    for (let channel = 0; channel < channels; channel++) {
      let sum = 2 ** (PRECISION_BITS - 1);
      for (let x = 0; x < weights.length; x++) sum += source[start + x * channels + channel]! * weights[x]!;
      target[at++] = toByte(sum);
    }
  }
}

function sumRows(
  source: Uint8Array,
  target: Uint8Array,
  { y, stride, tap: { first, weights } }: { y: number; stride: number; tap: Tap },
): void {
  for (let x = 0; x < stride; x++) {
    let sum = 2 ** (PRECISION_BITS - 1);
    for (let i = 0; i < weights.length; i++) sum += source[(first + i) * stride + x]! * weights[i]!;
    target[y * stride + x] = toByte(sum);
  }
}

function toByte(sum: number): number {
  return Math.min(255, Math.max(0, Math.floor(sum / 2 ** PRECISION_BITS)));
}

/** Visits each row. @param products of one row */
async function eachRow(
  count: number,
  { products, visit }: { products: number; visit: (row: number) => void },
): Promise<void> {
  const rowsAtOnce = Math.max(1, Math.floor(PRODUCTS_AT_ONCE / products));
  for (let row = 0; row < count; row++) {
    if (row > 0 && row % rowsAtOnce === 0) await letOthersRun();
    visit(row);
  }
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function bicubic(x: number): number {
  const [a, at] = [-0.5, Math.abs(x)];
  if (at < 1) return ((a + 2) * at - (a + 3)) * at * at + 1;
  return at < 2 ? (((at - 5) * at + 8) * at - 4) * a : 0;
}
