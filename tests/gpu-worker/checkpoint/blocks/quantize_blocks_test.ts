import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { quantizationOf } from "../../../../gpu-worker/checkpoint/blocks/quantization_of.ts";
import { quantizeBlocks } from "../../../../gpu-worker/checkpoint/blocks/quantize_blocks.ts";
import { resolveWeights } from "../../../../gpu-worker/checkpoint/held_weights.ts";
import type { Quantization, WeightEntry } from "../../../../gpu-worker/checkpoint/weights.ts";

/** Numbers of all sizes around zero, the same on every call. */
function numbers(count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    { length: count },
    (_, i) => Math.sin(i * 12.9898) * 43758.5453 % 1 * 2 ** (i % 5),
  );
}

function dequantized(values: Float32Array, quantization: Quantization): Float32Array {
  const { data, scales } = quantizeBlocks(values, quantization);
  const { bits, blockSize } = quantization;
  return values.map((_, i) => {
    const number = bits === 8 ? data[i]! : data[i >> 1]! >> (i & 1) * 4 & 15;
    return (number - 2 ** (bits - 1)) * scales[Math.floor(i / blockSize)]!;
  });
}

describe("quantizeBlocks()", () => {
  for (const blockSize of [16, 32, 128]) {
    it(`rounds to the nearest of 255 levels in blocks of ${blockSize}`, () => {
      const values = numbers(4 * blockSize);
      const rounded = dequantized(values, { bits: 8, blockSize });
      for (let block = 0; block < 4; block++) {
        const part = values.subarray(block * blockSize, (block + 1) * blockSize);
        const step = Math.max(...part.map(Math.abs)) / 127;
        for (const [i, value] of part.entries()) {
          assert.ok(Math.abs(rounded[block * blockSize + i]! - value) <= step / 2 * 1.0001);
        }
      }
    });

    it(`rounds to 16 levels in blocks of ${blockSize}`, () => {
      const values = numbers(4 * blockSize);
      const rounded = dequantized(values, { bits: 4, blockSize });
      for (let block = 0; block < 4; block++) {
        const part = values.subarray(block * blockSize, (block + 1) * blockSize);
        const step = Math.max(...part.map(Math.abs)) / 8;
        for (const [i, value] of part.entries()) {
          // The number opposite the largest has 7 levels instead of 8.
          assert.ok(Math.abs(rounded[block * blockSize + i]! - value) <= step * 1.0001);
        }
      }
    });
  }

  it("keeps the largest number of a block, and zeros", () => {
    const values = new Float32Array(32);
    for (const bits of [8, 4] as const) {
      assert.deepEqual(dequantized(values, { bits, blockSize: 32 }), values);
      const one = values.slice();
      one[5] = -3.5;
      assert.deepEqual(dequantized(one, { bits, blockSize: 32 }), one);
    }
  });

  it("keeps numbers that are not finite from looking like weights", () => {
    for (const wrong of [NaN, Infinity, -Infinity]) {
      for (const bits of [8, 4] as const) {
        const values = numbers(64);
        values[40] = wrong;
        const { scales } = quantizeBlocks(values, { bits, blockSize: 32 });
        assert.ok(Number.isFinite(scales[0]) && Number.isNaN(scales[1]), `${wrong} in ${bits} bits`);
      }
    }
  });
});

const ENTRY: WeightEntry = { path: "/x", dtype: "float32", shape: [8, 256], offset: 0, byteLength: 8192 };

describe("quantizationOf()", () => {
  it("takes the largest block that divides a row, and leaves other rows alone", () => {
    const of = (columns: number) => quantizationOf({ ...ENTRY, shape: [8, columns] }, "int8");
    assert.deepEqual(of(256), { bits: 8, blockSize: 128 });
    assert.deepEqual(of(192), { bits: 8, blockSize: 64 });
    assert.deepEqual(of(48), { bits: 8, blockSize: 16 });
    for (const columns of [24, 8, 1, 0]) assert.equal(of(columns), undefined);
    assert.deepEqual(quantizationOf(ENTRY, "int4"), { bits: 4, blockSize: 32 });
  });

  it("takes whole rows where the device can multiply them, of int8 alone", () => {
    const of = (entry: WeightEntry, held: "int8" | "int4" | "as-stored" = "int8") =>
      quantizationOf(entry, held, { wholeRows: true });
    assert.deepEqual(of(ENTRY), { bits: 8, blockSize: 256, wholeRows: true });
    assert.deepEqual(of({ ...ENTRY, shape: [8, 48] }), { bits: 8, blockSize: 48, wholeRows: true });
    // A sum over more columns could exceed 32 bits.
    assert.deepEqual(of({ ...ENTRY, shape: [8, 2 ** 16] }), { bits: 8, blockSize: 128 });
    // The same rows as elsewhere stay as stored.
    for (const columns of [24, 8]) assert.equal(of({ ...ENTRY, shape: [8, columns] }), undefined);
    assert.equal(of({ ...ENTRY, order: "transposed" }), undefined);
    assert.deepEqual(of(ENTRY, "int4"), { bits: 4, blockSize: 32 });
    assert.equal(of(ENTRY, "as-stored"), undefined);
    for (const blocks of ["Q8_0", "Q4_K"] as const) {
      assert.deepEqual(of({ ...ENTRY, blocks }), { bits: 8, blockSize: 32 });
    }
  });

  it("leaves vectors, convolutions, whole numbers and transposed matrices alone", () => {
    for (
      const other of [
        { shape: [256] },
        { shape: [8, 16, 4, 4] },
        { dtype: "int64" },
        { order: "transposed" },
      ] as const
    ) {
      assert.equal(quantizationOf({ ...ENTRY, ...other }, "int8"), undefined);
    }
    assert.equal(quantizationOf(ENTRY, "as-stored"), undefined);
  });

  it("keeps a file's own blocks where they have no more bits", () => {
    const [q8, q4] = [{ ...ENTRY, blocks: "Q8_0" }, { ...ENTRY, blocks: "Q4_0" }] as const;
    for (const held of ["as-stored", "int8"] as const) {
      assert.deepEqual(quantizationOf(q8, held), { bits: 8, blockSize: 32 });
      assert.deepEqual(quantizationOf(q4, held), { bits: 4, blockSize: 32 });
    }
    assert.deepEqual(quantizationOf(q8, "int4"), { bits: 4, blockSize: 32 });
    const k = { ...ENTRY, blocks: "Q4_K" } as const;
    assert.equal(quantizationOf(k, "as-stored"), undefined);
    assert.deepEqual(quantizationOf(k, "int8"), { bits: 8, blockSize: 32 });
  });
});

describe("resolveWeights()", () => {
  const resolve = (entry: WeightEntry, memoryBytes?: number) =>
    resolveWeights("auto", {
      components: [{ weights: new Map([["w", entry]]) }],
      dtype: "float32",
      memoryBytes,
    });

  it("rounds weights that would take three quarters of the memory", () => {
    assert.equal(resolve(ENTRY, 10_923), "as-stored");
    assert.equal(resolve(ENTRY, 10_922), "int8");
    assert.equal(resolve(ENTRY), "as-stored");
    // The compute type counts, not the file's.
    assert.equal(resolve({ ...ENTRY, dtype: "float8_e4m3fn", byteLength: 2048 }, 10_922), "int8");
  });

  it("rounds blocks that ONNX Runtime lacks", () => {
    assert.equal(resolve({ ...ENTRY, blocks: "Q8_0" }), "as-stored");
    assert.equal(resolve({ ...ENTRY, blocks: "Q6_K" }), "int8");
  });

  it("leaves a choice alone", () => {
    const options = { components: [], dtype: "float32", memoryBytes: 0 } as const;
    for (const choice of ["as-stored", "int8", "int4"] as const) {
      assert.equal(resolveWeights(choice, options), choice);
    }
  });
});
