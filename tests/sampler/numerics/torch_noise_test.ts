import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { randn, TorchGenerator } from "../../../sampler/mod.ts";
import { Mt19937 } from "../../../sampler/numerics/mt19937.ts";
import goldens from "../../goldens/sampler/noise.json" with { type: "json" };
import { float32s } from "../golden_array.ts";

/** The bits, so that no comparison forgives a last one. */
function bits(values: Float32Array): number[] {
  return [...new Uint32Array(values.slice().buffer)];
}

describe("Mt19937.next()", () => {
  it("gives numpy's integers, across refills of the state", () => {
    const { seed, first, last } = goldens.twister;
    const engine = new Mt19937(seed);
    const integers = Array.from({ length: 2000 }, () => engine.next());
    assert.deepEqual(integers.slice(0, 4), first);
    assert.deepEqual(integers.slice(-4), last);
  });
});

describe("randn()", () => {
  it("equals torch's noise for a 1024 x 1024 FLUX picture, bit for bit", async () => {
    const { shape, seed, sha256 } = goldens.flux;
    const digest = await crypto.subtle.digest("SHA-256", randn(shape, seed));
    assert.equal(new Uint8Array(digest).toHex(), sha256);
  });

  it("takes seeds of 64 bits as torch does: the low 32 count", () => {
    for (const { seed, f32 } of goldens.seeds) {
      assert.deepEqual(bits(randn([16], BigInt(seed))), bits(float32s(f32)), `seed ${seed}`);
    }
    assert.deepEqual(randn([16], -1), randn([4, 4], 2n ** 64n - 1n));
  });

  it("refuses seeds that torch refuses or that are no longer exact", () => {
    assert.throws(() => randn([16], 2n ** 64n), {
      name: "RangeError",
      message:
        "Cannot seed the noise as 'seed' must be in -2^63..2^64-1: current value is 18446744073709551616",
    });
    for (const seed of [0.5, NaN, 2 ** 60]) {
      assert.throws(() => randn([16], seed), {
        name: "RangeError",
        message: "Cannot seed the noise as 'seed' must be an integer within 2^53, or a bigint: " +
          `current value is ${seed}`,
      });
    }
  });
});

describe("TorchGenerator.randn()", () => {
  it("keeps torch's order of draws: scalars, whole blocks, tails and a kept second value", () => {
    const { seed, counts, f32 } = goldens.mixed;
    const generator = new TorchGenerator(seed);
    const values = counts.flatMap((count) => [...generator.randn(count)]);
    assert.deepEqual(bits(Float32Array.from(values)), bits(float32s(f32)));
  });

  it("gives the same noise for a batch drawn alone", () => {
    assert.deepEqual(new TorchGenerator(3).randn(0), new Float32Array());
    assert.deepEqual(new TorchGenerator(3).randn(48).subarray(0, 32), new TorchGenerator(3).randn(32));
  });
});
