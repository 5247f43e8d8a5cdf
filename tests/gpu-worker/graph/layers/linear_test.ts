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

const [ROWS, OUT, IN, RANK] = [5, 24, 64, 4];
const numbers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => (Math.sin((i + 1) * seed) * 43758.5453) % 1);
const TENSORS = {
  "layer.weight": { dims: [OUT, IN], data: numbers(OUT * IN, 12.9898) },
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
  name?: "layer" | "zero";
  quantization?: Quantization;
  additions?: readonly Addition[];
  asStored?: boolean;
}

/** Runs the layer on X. Returns its outputs, and how many weights were converted for it. */
async function run({ name = "layer", quantization, additions, asStored = false }: LayerOptions) {
  const weight = {
    ...entries.get(`${name}.weight`)!,
    ...quantization && { quantization },
    ...additions && { additions },
  };
  const weights = new Map([[`${name}.weight`, weight], ["layer.bias", entries.get("layer.bias")!]]);
  const graph = new GraphBuilder({ name: "layer", weights, dtype: "float32" });
  const x = graph.input("x", ["rows", IN]);
  const bias = name === "layer";
  graph.output("y", linear(graph, x, { name, inFeatures: IN, outFeatures: OUT, bias, asStored }), [
    "rows",
    OUT,
  ]);
  const model = graph.build();
  using store = new WeightStore();
  const { y } = await runGraph(await store.place(model), { x: { shape: [ROWS, IN], data: X } });
  return { y: y!.data, converted: model.conversion?.tensors.length ?? 0, matrices: model.matrices };
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
