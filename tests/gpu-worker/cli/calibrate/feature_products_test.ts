import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  meanProducts,
  recordingBytes,
  RunFeatures,
} from "../../../../gpu-worker/cli/calibrate/feature_products.ts";
import { randn } from "../../../../sampler/mod.ts";

const SOLVER = { timesteps: new Float64Array(), sigmas: new Float64Array() };

/** Features of two steps whose products are known: the second is a mix of the first with other noise. */
function features({ dims, branches, mix }: { dims: readonly number[]; branches: number; mix: number }) {
  const count = dims.reduce((product, dim) => product * dim, branches);
  const [a, b] = [randn([count], 1), randn([count], 2)];
  return [a, a.map((value, i) => mix * value + Math.sqrt(1 - mix ** 2) * b[i]!)];
}

function record(seed: number, options: Parameters<typeof features>[0] & { channelsFirst: boolean }) {
  const run = new RunFeatures(seed);
  for (const [index, data] of features(options).entries()) {
    run.add({ index, solver: SOLVER, data: data.map((value) => 5 * value), ...options });
  }
  return run.products();
}

function assertNear(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual}, expected ${expected}`);
}

describe("RunFeatures", () => {
  for (const channelsFirst of [false, true]) {
    it(`has the products of normalised features, channels ${channelsFirst ? "first" : "last"}`, () => {
      const dims = channelsFirst ? [8, 20, 20] : [20, 20, 8];
      const { conditional, unconditional, cross, norms } = record(0, {
        dims,
        branches: 2,
        mix: 0.8,
        channelsFirst,
      });
      for (const matrix of [conditional, unconditional!]) {
        for (const i of [0, 3]) assertNear(matrix[i]!, 1, 1e-3);
        for (const i of [1, 2]) assertNear(matrix[i]!, 0.8, 0.03);
      }
      // The branches are unrelated noise.
      for (const value of cross!) assertNear(value, 0, 0.03);
      for (const norm of norms) assertNear(norm, 5, 0.5);
    });
  }

  it("has no second branch without guidance", () => {
    const products = record(0, { dims: [10, 4], branches: 1, mix: 0.5, channelsFirst: false });
    assert.deepEqual(Object.keys(products).sort(), ["conditional", "norms"]);
  });

  it("estimates large features from tokens that the seed chooses", () => {
    // Twice as much as is kept.
    const options = { dims: [2 ** 12, 2 ** 8], branches: 1, mix: 0.9, channelsFirst: false };
    const [first, again, other] = [3, 3, 4].map((seed) => record(seed, options).conditional);
    assert.deepEqual(first, again);
    assert.notDeepEqual(first, other);
    for (const { 1: product } of [first!, other!]) assertNear(product!, 0.9, 0.005);
  });
});

describe("meanProducts()", () => {
  it("is the mean of each entry", () => {
    const run = (value: number) => ({
      norms: Float64Array.of(value),
      conditional: Float64Array.of(2 * value),
      unconditional: Float64Array.of(3 * value),
      cross: Float64Array.of(-value),
    });
    assert.deepEqual(meanProducts([run(1), run(2)]), run(1.5));
  });
});

describe("recordingBytes()", () => {
  // A plain run holds at least the weights: parameters times bytes of bfloat16.
  const cases = [
    ["FLUX.1 at 1024x1024", { featureElements: 4096 * 3072, branches: 1, steps: 50 }, 12e9 * 2],
    ["Wan 14B with 81 frames of 832x480", {
      featureElements: 2 * 21 * 30 * 52 * 5120,
      branches: 2,
      steps: 50,
    }, 14e9 * 2],
  ] as const;
  for (const [name, size, weightBytes] of cases) {
    it(`holds less than a fifth of a plain run of ${name}, one slot of history included`, () => {
      const slotBytes = 4 * size.featureElements;
      assert.ok(recordingBytes(size) + slotBytes < 0.2 * weightBytes, `${recordingBytes(size)}`);
    });
  }

  it("grows with the steps by the samples alone", () => {
    const at = (steps: number) => recordingBytes({ featureElements: 4096 * 3072, branches: 1, steps });
    assert.equal(at(51) - at(50), 4 * 2 ** 19);
  });
});
