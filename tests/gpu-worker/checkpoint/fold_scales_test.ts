// fp8 in safetensors files, plain and scaled, against torch (tests/goldens/gguf/make_goldens.py).
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { readRows } from "../../../gpu-worker/checkpoint/blocks/read_rows.ts";
import { readTensors } from "../../../gpu-worker/checkpoint/read_tensors.ts";
import { openWeights, type Weights } from "../../../gpu-worker/checkpoint/weights.ts";
import { GraphBuilder } from "../../../gpu-worker/graph/graph_builder.ts";
import { embedding } from "../../../gpu-worker/graph/layers/dense/embedding.ts";
import { linear } from "../../../gpu-worker/graph/layers/dense/linear.ts";
import { WeightStore } from "../../../gpu-worker/session/weight_store.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { runGraph } from "../graph/run_graph.ts";

const CODES = { float8_e4m3fn: "F8_E4M3", float8_e5m2: "F8_E5M2" } as const;
type Fp8 = keyof typeof CODES;
const EVERY = Uint8Array.from({ length: 256 }, (_, i) => i);
const SCALE = Float32Array.of(0.0123);

let path: string;
beforeEach(() => {
  path = join(Deno.makeTempDirSync(), "x.safetensors");
});
afterEach(() => Deno.removeSync(join(path, ".."), { recursive: true }));

interface Stored {
  dtype: string;
  shape: number[];
  data: Uint8Array | Float32Array;
}

function write(tensors: Record<string, Stored>, to = path): void {
  let end = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, data_offsets: [end, end += data.byteLength] },
    ]),
  );
  const json = new TextEncoder().encode(JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  let at = 8 + json.length;
  for (const { data } of Object.values(tensors)) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  Deno.writeFileSync(to, file);
}

const matrix = (dtype: Fp8, data: Uint8Array = EVERY): Stored => ({
  dtype: CODES[dtype],
  shape: [16, 16],
  data,
});
const scale = (data = SCALE, shape: number[] = []): Stored => ({ dtype: "F32", shape, data });

function expected(name: string): Float32Array {
  const entry = readTensors(goldenPath("gguf/types.safetensors")).get(name)!;
  using file = Deno.openSync(entry.path);
  return readRows(file, entry, { from: 0, to: 256 });
}

/** Returns the tensor as a graph sees it. */
async function inGraph(weights: Weights): Promise<Float32Array> {
  const graph = new GraphBuilder({ name: "x", weights, dtype: "float32" });
  const zero = graph.input("zero", [1], "float32");
  graph.output("w", graph.node("Add", [graph.weight("x.weight", [16, 16]), zero]), [16, 16]);
  const { w } = await runGraph(graph.build(), { zero: { shape: [1], data: new Float32Array(1) } });
  return w!.data;
}

describe("fp8 weights", () => {
  for (const dtype of ["float8_e4m3fn", "float8_e5m2"] as const) {
    it(`are torch's ${dtype} in a graph, to the bit`, async () => {
      write({ "x.weight": matrix(dtype) });
      const values = await inGraph(readTensors(path));
      // Adding zero makes 0 of -0.
      assert.deepEqual([...values], [...expected(dtype)].map((value) => value + 0));
    });

    for (const name of ["scale_weight", "weight_scale"]) {
      it(`are torch's ${dtype} times ${name}, without the scales of activations`, async () => {
        write({
          "x.weight": matrix(dtype),
          [`x.${name}`]: scale(),
          "x.scale_input": scale(),
          "x.input_scale": scale(SCALE, [1]),
          "scaled_fp8": { dtype: CODES[dtype], shape: [0], data: new Uint8Array() },
        });
        const tensors = readTensors(path);
        assert.deepEqual([...tensors.keys()], ["x.weight"]);
        assert.deepEqual(
          [...await inGraph(tensors)],
          [...expected(`${dtype} scaled`)].map((value) => value + 0),
        );
        const entry = tensors.get("x.weight")!;
        using file = Deno.openSync(path);
        const rows = readRows(file, entry, { from: 0, to: 16 });
        assert.deepEqual([...rows], [...expected(`${dtype} scaled`)]);
      });
    }
  }

  it("are reordered where the file orders its rows or columns in another way", async () => {
    const rows = (from: number, to: number) => [...expected("float8_e5m2").slice(16 * from, 16 * to)];
    const turned = Array.from({ length: 256 }, (_, i) => rows(0, 16)[(i % 16) * 16 + (i >> 4)]!);
    const orders = { swapped: [...rows(8, 16), ...rows(0, 8)], transposed: turned } as const;
    for (const [order, values] of Object.entries(orders)) {
      for (const scaled of [false, true]) {
        const factor = scaled ? Math.fround(0.0123) : 1;
        write({ "x.weight": matrix("float8_e5m2"), ...scaled && { "x.scale_weight": scale() } });
        const entry = { ...readTensors(path).get("x.weight")!, order: order as keyof typeof orders };
        const found = await inGraph(new Map([["x.weight", entry]]));
        assert.deepEqual([...found], values.map((value) => Math.fround(value * factor) + 0), order);
      }
    }
  });

  it("convert straight to 8 bits, with their scale", async () => {
    const finite = EVERY.map((bits) => (bits & 127) < 120 ? bits : 0);
    write({ "x.weight": matrix("float8_e4m3fn", finite), "x.scale_weight": scale() });
    const entry = readTensors(path).get("x.weight")!;
    const weights = new Map([["x.weight", { ...entry, quantization: { bits: 8, blockSize: 16 } as const }]]);
    const graph = new GraphBuilder({ name: "x", weights, dtype: "float32" });
    const x = graph.input("x", [16, 16]);
    const layer = { name: "x", inFeatures: 16, outFeatures: 16, bias: false };
    graph.output("y", linear(graph, x, layer), [16, 16]);
    using store = new WeightStore();
    const identity = Float32Array.from({ length: 256 }, (_, i) => i % 17 === 0 ? 1 : 0);
    const { y } = await runGraph(await store.place(graph.build()), {
      x: { shape: [16, 16], data: identity },
    });
    using file = Deno.openSync(path);
    const values = readRows(file, entry, { from: 0, to: 16 });
    for (let row = 0; row < 16; row++) {
      const step = Math.max(...values.subarray(row * 16, row * 16 + 16).map(Math.abs)) / 127;
      for (let i = 0; i < 16; i++) {
        assert.ok(Math.abs(y!.data[i * 16 + row]! - values[row * 16 + i]!) <= step * 0.51);
      }
    }
  });

  it("serve as a table whose rows are looked up", async () => {
    write({ "x.weight": matrix("float8_e5m2"), "x.scale_weight": scale() });
    for (const factor of [undefined, 0.0123]) {
      const { scale: _, ...entry } = readTensors(path).get("x.weight")!;
      const weights = new Map([["x.weight", { ...entry, ...factor && { scale: Math.fround(factor) } }]]);
      const graph = new GraphBuilder({ name: "x", weights, dtype: "float32" });
      const ids = graph.input("ids", [1], "int64");
      graph.output("y", embedding(graph, ids, { name: "x", count: 16, features: 16 }), [1, 16]);
      const { y } = await runGraph(graph.build(), { ids: { shape: [1], data: Int32Array.of(3) } });
      const all = expected(factor === undefined ? "float8_e5m2" : "float8_e5m2 scaled");
      assert.deepEqual(y!.data, all.slice(48, 64));
    }
  });

  it("have their scales where these lie in another shard", async () => {
    const folder = join(path, "..");
    write({ "x.weight": matrix("float8_e5m2") }, join(folder, "model-1.safetensors"));
    write({ "x.weight_scale": scale() }, join(folder, "model-2.safetensors"));
    const weight_map = { "x.weight": "model-1.safetensors", "x.weight_scale": "model-2.safetensors" };
    Deno.writeTextFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map }));
    const weights = openWeights(folder, "model");
    assert.deepEqual([...weights.keys()], ["x.weight"]);
    assert.deepEqual([...await inGraph(weights)], [...expected("float8_e5m2 scaled")].map((v) => v + 0));
  });

  it("may be plain beside another network whose fp8 is marked as scaled", () => {
    const marker = { dtype: "F8_E4M3", shape: [0], data: new Uint8Array() };
    const tensors = {
      "model.x.weight": matrix("float8_e5m2"),
      "text.y.weight": matrix("float8_e5m2"),
      "text.y.scale_weight": scale(),
      "text.scaled_fp8": marker,
    };
    write(tensors);
    const found = readTensors(path);
    assert.deepEqual([...found].map(([name, { scale }]) => [name, scale]), [
      ["model.x.weight", undefined],
      ["text.y.weight", Math.fround(0.0123)],
    ]);
    write({ ...tensors, "text.z.weight": matrix("float8_e5m2") });
    assert.throws(() => readTensors(path), /marked as scaled fp8, but 'text.z.weight' has no scale/);
  });

  const whole = (dtype: string): Stored => ({ dtype, shape: [16, 16], data: EVERY });
  const WRONG: Record<string, [() => Record<string, Stored>, RegExp]> = {
    "a missing scale": [
      () => ({
        "x.weight": matrix("float8_e4m3fn"),
        scaled_fp8: { dtype: "F8_E4M3", shape: [0], data: new Uint8Array() },
      }),
      /marked as scaled fp8, but 'x.weight' has no scale/,
    ],
    "a scale of no tensor": [
      () => ({ "x.weight": matrix("float8_e4m3fn"), "y.scale_weight": scale() }),
      /'y.scale_weight' is the scale of a tensor that the file does not hold/,
    ],
    "a scale for each column": [
      () => ({ "x.weight": matrix("float8_e4m3fn"), "x.weight_scale": scale(new Float32Array(16), [1, 16]) }),
      /'x.weight_scale' must be one number, or one for each of 16 rows, but its shape is \[1,16\]/,
    ],
    "a scale that is not finite": [
      () => ({ "x.weight": matrix("float8_e4m3fn"), "x.weight_scale": scale(Float32Array.of(NaN)) }),
      /must be finite, but is NaN/,
    ],
  };
  for (const name of ["weight_scale_inv", "weight.scale", "weight._scale", "scale", "scales", "SCB"]) {
    WRONG[`a scale called ${name}`] = [
      () => ({ "x.weight": matrix("float8_e4m3fn"), [`x.${name}`]: scale(), "y.scale": scale() }),
      new RegExp(`'x.${name}' says how 'x.weight' was quantized to fp8`),
    ];
  }
  for (const [what, beside] of Object.entries({ "no scale": {}, "scales": { "x.weight_scale": scale() } })) {
    for (const [dtype, name] of Object.entries({ I8: "int8", U8: "uint8" })) {
      WRONG[`${name} and ${what}`] = [
        () => ({ "x.weight": whole(dtype), ...beside }),
        new RegExp(`'x.weight' is quantized to ${name} in a way that we do not know`),
      ];
    }
  }
  for (const [what, [tensors, message]] of Object.entries(WRONG)) {
    it(`are refused with ${what}`, () => {
      write(tensors());
      assert.throws(() => readTensors(path), (error: Error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, message);
        return true;
      });
    });
  }
});
