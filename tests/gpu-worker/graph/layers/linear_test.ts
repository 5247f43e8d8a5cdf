// Linear layers whose weights are in blocks, with LoRAs beside them.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import type { Addition, Quantization, WeightEntry } from "../../../../gpu-worker/checkpoint/weights.ts";
import { GraphBuilder } from "../../../../gpu-worker/graph/graph_builder.ts";
import { linear } from "../../../../gpu-worker/graph/layers/dense/linear.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";
import { WeightStore } from "../../../../gpu-worker/session/weight_store.ts";
import { runGraph } from "../run_graph.ts";
import { numbers } from "./numbers.ts";

const [ROWS, OUT, IN, RANK] = [5, 24, 64, 4];
const TENSORS = {
  "layer.weight": { dims: [OUT, IN], data: numbers(OUT * IN, 12.9898) },
  "integers.weight": {
    dims: [OUT, IN],
    data: Float32Array.from({ length: OUT * IN }, (_, i) => i % IN < 9 ? 127 : (i * 61) % 255 - 127),
  },
  "zero.weight": { dims: [OUT, IN], data: new Float32Array(OUT * IN) },
  "layer.bias": { dims: [OUT], data: numbers(OUT, 7.1) },
  down: { dims: [RANK, IN], data: numbers(RANK * IN, 3.3) },
  up: { dims: [OUT, RANK], data: numbers(OUT * RANK, 5.7) },
  whole: { dims: [OUT, IN], data: numbers(OUT * IN, 9.9) },
};
const X = numbers(ROWS * IN, 78.233);

let folder: string;
let entries: Map<string, WeightEntry>;
beforeEach(() => {
  folder = Deno.makeTempDirSync();
  const path = join(folder, "x.safetensors");
  const tensors = Object.entries(TENSORS).map(([name, tensor]) => ({ name, ...tensor }));
  Deno.writeFileSync(path, encodeSafetensors(tensors));
  entries = readTensors(path);
});
afterEach(() => Deno.removeSync(folder, { recursive: true }));

interface LayerOptions {
  name?: "layer" | "zero" | "integers";
  quantization?: Quantization;
  additions?: readonly Addition[];
  asStored?: boolean;
  change?: Partial<WeightEntry>;
  /** @default X */
  x?: { shape: readonly number[]; data: Float32Array<ArrayBuffer> };
}

/** Runs the layer on X. Returns its outputs, and how many weights were converted for it. */
async function run(
  { name = "layer", quantization, additions, asStored = false, change, x = { shape: [ROWS, IN], data: X } }:
    LayerOptions,
) {
  const weight = {
    ...entries.get(`${name}.weight`)!,
    ...quantization && { quantization },
    ...additions && { additions },
    ...change,
  };
  const weights = new Map([[`${name}.weight`, weight], ["layer.bias", entries.get("layer.bias")!]]);
  const graph = new GraphBuilder({ name: "layer", weights, dtype: "float32" });
  const dims = x.shape.slice(0, -1).map((_, i) => `dimension ${i}`);
  const tokens = graph.input("x", [...dims, IN]);
  const bias = name === "layer";
  const y = linear(graph, tokens, { name, inFeatures: IN, outFeatures: OUT, bias, asStored });
  graph.output("y", y, [...dims, OUT]);
  const model = graph.build();
  using store = new WeightStore();
  const results = await runGraph(await store.place(model), { x });
  return {
    y: results["y"]!.data,
    converted: model.conversion?.tensors.length ?? 0,
    matrices: model.matrices,
  };
}

/** Root of the mean square of the difference, over that of `expected`. */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  let [error, size] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  return Math.sqrt(error / size);
}

const CHANGES = () => {
  const [down, up, whole] = ["down", "up", "whole"].map((name) => entries.get(name)!);
  return {
    "a LoRA": [{ scale: 0.7, down, up }],
    "two LoRAs": [{ scale: 0.7, down, up }, { scale: -0.2, down, up }],
    "a LoRA with halves in reverse": [{ scale: 0.7, down, up, swapped: true }],
    "a whole change": [{ scale: 0.5, whole }],
  } as unknown as Record<string, Addition[]>;
};

describe("linear() with weights in blocks", () => {
  for (
    const [bits, blockSize, limit] of [[8, 16, 0.015], [8, 32, 0.015], [8, 64, 0.015], [4, 16, 0.12], [
      4,
      32,
      0.12,
    ]] as const
  ) {
    it(`is near the layer as stored in ${bits} bits and blocks of ${blockSize}`, async () => {
      const plain = await run({});
      const { y, converted } = await run({ quantization: { bits, blockSize } });
      assert.equal(converted, 1);
      const error = relativeError(y, plain.y);
      assert.ok(error > 0 && error < limit, `${error}`);
    });
  }

  describe("and one scale a row", () => {
    const quantization: Quantization = { bits: 8, blockSize: IN, wholeRows: true };

    it("is near the layer as stored, for tokens of any rank", async () => {
      const plain = await run({});
      const { y, converted } = await run({ quantization });
      assert.equal(converted, 1);
      const error = relativeError(y, plain.y);
      assert.ok(error > 0 && error < 0.015, `${error}`);
      assert.deepEqual((await run({ quantization, x: { shape: [1, ROWS, IN], data: X } })).y, y);
    });

    it("is exact for whole numbers, the largest too, on every CPU", async () => {
      // Two products of the largest numbers exceed 16 bits, where AVX2's signed kernel clips them.
      const data = Float32Array.from(
        { length: ROWS * IN },
        (_, i) => i % IN < 9 ? 127 : (i * 37) % 255 - 127,
      );
      const x = { shape: [ROWS, IN], data };
      const held = await run({ name: "integers", quantization, x });
      assert.deepEqual(held.y, (await run({ name: "integers", x })).y);
    });

    it("gives each row of activations its own scale", async () => {
      const data = X.map((value, i) => i < IN ? value * 1e6 : i < 2 * IN ? value * 1e-6 : value);
      const x = { shape: [ROWS, IN], data };
      const [held, plain] = [
        await run({ name: "integers", quantization, x }),
        await run({ name: "integers", x }),
      ];
      for (let row = 0; row < ROWS; row++) {
        const of = ({ y }: { y: Float32Array }) => y.subarray(row * OUT, (row + 1) * OUT);
        const error = relativeError(of(held), of(plain));
        assert.ok(error < 0.015, `row ${row}: ${error}`);
      }
    });

    it("keeps rows of zeros", async () => {
      const x = { shape: [ROWS, IN], data: new Float32Array(ROWS * IN) };
      assert.deepEqual((await run({ name: "zero", quantization, x })).y, new Float32Array(ROWS * OUT));
      assert.deepEqual((await run({ quantization, x })).y, (await run({ x })).y);
    });

    it("adds a LoRA in full precision", async () => {
      for (const additions of Object.values(CHANGES())) {
        const plain = await run({ name: "zero", additions });
        const held = await run({ name: "zero", additions, quantization });
        assert.ok(relativeError(held.y, plain.y) < 1e-6);
      }
    });

    it("reads a file whose halves of rows are swapped, or that is scaled fp8", async () => {
      for (const change of [{ order: "swapped" }, { scale: 0.5 }] as const) {
        const [plain, held] = [await run({ change }), await run({ change, quantization })];
        assert.ok(relativeError(held.y, plain.y) < 0.015);
      }
    });
  });

  it("holds first and last layers as stored", async () => {
    const plain = await run({});
    const held = await run({ quantization: { bits: 4, blockSize: 32 }, asStored: true });
    assert.deepEqual(held, { y: plain.y, converted: 0, matrices: [] });
    assert.deepEqual(plain.matrices, ["layer.weight"]);
  });

  it("holds a row that is no whole number of blocks as stored", async () => {
    const plain = await run({});
    assert.deepEqual((await run({ quantization: { bits: 8, blockSize: 128 } })).y, plain.y);
  });

  for (const kind of ["a LoRA", "two LoRAs", "a LoRA with halves in reverse", "a whole change"]) {
    it(`adds ${kind} in full precision beside the blocks`, async () => {
      const additions = CHANGES()[kind]!;
      // Zeros are exact in blocks, so that only the change is left.
      const plain = await run({ name: "zero", additions });
      const held = await run({ name: "zero", additions, quantization: { bits: 4, blockSize: 32 } });
      assert.equal(held.converted, 1);
      assert.ok(relativeError(held.y, plain.y) < 1e-6);
      const full = await run({ additions });
      const near = await run({ additions, quantization: { bits: 8, blockSize: 32 } });
      assert.ok(relativeError(near.y, full.y) < 0.015);
    });
  }
});
