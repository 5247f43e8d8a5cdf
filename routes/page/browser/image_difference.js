// How far two pictures are apart: the absolute difference, amplified to be seen, and its usual measures.

/** @typedef {{ width: number, height: number, data: Uint8ClampedArray }} Pixels RGBA, as in ImageData. */

/**
 * Returns the peak signal-to-noise ratio over red, green and blue in decibels, Infinity for equal pictures;
 * and the largest difference of a channel, 0..255.
 *
 * @param {Pixels} a
 * @param {Pixels} b
 * @throws {RangeError} If their sizes differ.
 */
export function measureDifference(a, b) {
  checkSizes(a, b);
  let squares = 0;
  let largest = 0;
  for (let i = 0; i < a.data.length; i++) {
    if (i % 4 === 3) continue;
    const difference = Math.abs(/** @type {number} */ (a.data[i]) - /** @type {number} */ (b.data[i]));
    squares += difference * difference;
    largest = Math.max(largest, difference);
  }
  const mean = squares / (a.width * a.height * 3);
  return { psnr: mean === 0 ? Infinity : 10 * Math.log10(255 * 255 / mean), largest };
}

/**
 * Returns |a - b| times `gain`, opaque.
 *
 * @param {Pixels} a
 * @param {Pixels} b
 * @param {{ gain: number }} options
 * @returns {Uint8ClampedArray<ArrayBuffer>} RGBA.
 * @throws {RangeError} If their sizes differ.
 */
export function amplifyDifference(a, b, { gain }) {
  checkSizes(a, b);
  const data = new Uint8ClampedArray(a.data.length);
  for (let i = 0; i < data.length; i++) {
    const difference = Math.abs(/** @type {number} */ (a.data[i]) - /** @type {number} */ (b.data[i]));
    data[i] = i % 4 === 3 ? 255 : difference * gain;
  }
  return data;
}

/**
 * @param {Pixels} a
 * @param {Pixels} b
 */
function checkSizes(a, b) {
  if (a.width !== b.width || a.height !== b.height) {
    throw new RangeError(
      `Cannot compare pictures of different sizes: ${a.width}x${a.height} and ${b.width}x${b.height}`,
    );
  }
}
