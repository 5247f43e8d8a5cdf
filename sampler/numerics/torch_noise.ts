// Initial noise equal to torch's CPU generator: at::CPUGeneratorImpl, normal_fill and normal_distribution
// (ATen/native/cpu/DistributionTemplates.h, ATen/core/DistributionsHelper.h), as of torch 2.15.

import { showValue } from "./show_value.ts";
import { log, type SinCos, sinCos } from "./float32_math.ts";
import { Mt19937 } from "./mt19937.ts";

/**
 * `torch.Generator("cpu").manual_seed(seed)`: the same calls in the same order give the same numbers.
 *
 * Every value of a draw of 16 or more equals torch's AVX2 build bit for bit. Builds without AVX2 (ARM, macOS)
 * call their own libm, which differs from it by some units in the last place.
 */
export class TorchGenerator {
  readonly #engine: Mt19937;
  #spareNormal: number | undefined;

  /**
   * Starts the stream of a seed.
   *
   * @param seed -2^63..2^64-1, like `manual_seed`. torch seeds its twister with the low 32 bits alone,
   * so seeds with equal low bits give the same noise.
   * @throws {RangeError} If the seed is not an integer in that range, or is a number beyond 2^53.
   */
  constructor(seed: bigint | number) {
    this.#engine = new Mt19937(low32Bits(seed));
  }

  /** Draws `torch.randn(count, generator=self)`: standard normal float32 values, owned by the caller. */
  randn(count: number): Float32Array<ArrayBuffer> {
    const data = new Float32Array(count);
    if (count < BLOCK) {
      for (let i = 0; i < count; i++) data[i] = this.#normal();
      return data;
    }
    this.#fillUniform(data);
    for (let i = 0; i + BLOCK <= count; i += BLOCK) boxMuller(data, i);
    if (count % BLOCK !== 0) {
      // torch draws the last 16 values afresh, over those of the last whole block.
      const tail = data.subarray(count - BLOCK);
      this.#fillUniform(tail);
      boxMuller(tail, 0);
    }
    return data;
  }

  #fillUniform(data: Float32Array): void {
    const engine = this.#engine;
    for (let i = 0; i < data.length; i++) data[i] = (engine.next() & 0xffffff) * 2 ** -24;
  }

  /**
   * One value in float64, as torch draws tensors of less than 16: the second of each pair
   * is kept for the next call.
   */
  #normal(): number {
    if (this.#spareNormal !== undefined) {
      const spare = this.#spareNormal;
      this.#spareNormal = undefined;
      return spare;
    }
    const theta = 2 * Math.PI * this.#uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniform53()));
    this.#spareNormal = radius * Math.sin(theta);
    return radius * Math.cos(theta);
  }

  #uniform53(): number {
    const high = this.#engine.next() & 0x1fffff;
    return (high * 2 ** 32 + this.#engine.next()) * 2 ** -53;
  }
}

/**
 * Returns `torch.randn(shape, generator=torch.Generator().manual_seed(seed))`, flat in row-major order.
 *
 * @example
 * ```ts
 * import { randn } from "./torch_noise.ts";
 * const latents = randn([1, 16, 128, 128], 42);
 * ```
 */
export function randn(shape: readonly number[], seed: bigint | number): Float32Array<ArrayBuffer> {
  return new TorchGenerator(seed).randn(shape.reduce((size, dim) => size * dim, 1));
}

const BLOCK = 16;
const HALF = 8;
const TWO_PI = Math.fround(2 * Math.PI);
const scratch: SinCos = { sin: 0, cos: 0 };

/** Turns 16 uniform values into 16 normal ones: value j pairs with value j + 8. */
function boxMuller(data: Float32Array, offset: number): void {
  for (let j = offset; j < offset + HALF; j++) {
    const radius = Math.fround(Math.sqrt(-2 * log(1 - data[j]!)));
    sinCos(Math.fround(TWO_PI * data[j + HALF]!), scratch);
    // The mean that torch adds turns -0 into 0.
    data[j] = Math.fround(radius * scratch.cos) + 0;
    data[j + HALF] = Math.fround(radius * scratch.sin) + 0;
  }
}

function low32Bits(seed: bigint | number): number {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new RangeError(
      `Cannot seed the noise as 'seed' must be an integer within 2^53, or a bigint: current value is ${
        showValue(seed)
      }`,
    );
  }
  const value = BigInt(seed);
  if (value < -(2n ** 63n) || value >= 2n ** 64n) {
    throw new RangeError(
      `Cannot seed the noise as 'seed' must be in -2^63..2^64-1: current value is ${showValue(seed)}`,
    );
  }
  return Number(BigInt.asUintN(32, value));
}
