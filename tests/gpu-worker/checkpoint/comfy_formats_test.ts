// Weights in ComfyUI's formats, and fp8 with one scale a row, against comfy-kitchen and torch
// (tests/goldens/comfy/make_goldens.py).
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { quantizationOf } from "../../../gpu-worker/checkpoint/blocks/quantization_of.ts";
import { readRows, rowsOf } from "../../../gpu-worker/checkpoint/blocks/read_rows.ts";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { resolveWeights } from "../../../gpu-worker/checkpoint/held_weights.ts";
import { readStoredTensors, readTensors } from "../../../gpu-worker/checkpoint/read_tensors.ts";
import { splitRows } from "../../../gpu-worker/checkpoint/split_rows.ts";
import { openWeights, type Quantization, type WeightEntry } from "../../../gpu-worker/checkpoint/weights.ts";
import { GraphBuilder } from "../../../gpu-worker/graph/graph_builder.ts";
import { linear } from "../../../gpu-worker/graph/layers/dense/linear.ts";
import { WeightStore } from "../../../gpu-worker/session/weight_store.ts";
import { goldenPath, maxError } from "../../goldens/golden.ts";
import { runGraph } from "../graph/run_graph.ts";
import { type FileTensor, writeSafetensors } from "./single_file/twin.ts";

const ENTRIES = readTensors(goldenPath("comfy/types.safetensors"));
const VALUES = readTensors(goldenPath("comfy/values.safetensors"));
const { crc32: SUMS }: { crc32: Record<string, number> } = JSON.parse(
  Deno.readTextFileSync(goldenPath("comfy/types.json")),
);
const [ROWS, COLUMNS] = [160, 96];
const NAMES = [...Object.keys(SUMS), "int8_convrot"];
const CODES: Record<string, string> = { float32: "F32", float8_e4m3fn: "F8_E4M3", uint8: "U8" };
const entryOf = (name: string) => ENTRIES.get(`${name}.weight`)!;

function read(entry: WeightEntry, from = 0, to = rowsOf(entry).rows): Float32Array<ArrayBuffer> {
  using file = Deno.openSync(entry.path);
  return readRows(file, entry, { from, to });
}

const rows = (values: Float32Array, from: number, to: number) => values.slice(from * COLUMNS, to * COLUMNS);

/** Returns the tensor as a graph without blocks sees it. */
async function inGraph(entry: WeightEntry, dims = entry.shape): Promise<Float32Array> {
  const graph = new GraphBuilder({ name: "x", weights: new Map([["w", entry]]), dtype: "float32" });
  const zero = graph.input("zero", [1], "float32");
  graph.output("y", graph.node("Add", [graph.weight("w", dims), zero]), dims);
  using store = new WeightStore();
  const { y } = await runGraph(await store.place(graph.build()), {
    zero: { shape: [1], data: new Float32Array(1) },
  });
  return y!.data;
}

/** Returns the matrix as a linear layer holds it: the products with the identity. */
async function inLayer(entry: WeightEntry, quantization: Quantization): Promise<Float32Array> {
  const [outFeatures = 0, inFeatures = 0] = entry.shape;
  const weights = new Map([["x.weight", { ...entry, quantization }]]);
  const graph = new GraphBuilder({ name: "x", weights, dtype: "float32" });
  const x = graph.input("x", ["rows", inFeatures]);
  const y = linear(graph, x, { name: "x", inFeatures, outFeatures, bias: false });
  graph.output("y", graph.node("Transpose", [y]), [outFeatures, "rows"]);
  using store = new WeightStore();
  const data = Float32Array.from({ length: inFeatures ** 2 }, (_, i) => i % (inFeatures + 1) === 0 ? 1 : 0);
  const result = await runGraph(await store.place(graph.build()), {
    x: { shape: [inFeatures, inFeatures], data },
  });
  return result["y"]!.data;
}

describe("a weight in fewer bits", () => {
  for (const name of NAMES) {
    it(`has comfy-kitchen's numbers in ${name}`, () => {
      const entry = entryOf(name);
      assert.deepEqual(entry.shape, [ROWS, COLUMNS]);
      const values = read(entry);
      const expected = read(VALUES.get(name)!);
      if (name === "int8_convrot") {
        assert.ok(maxError(rows(values, 150, ROWS), expected) < 1e-7);
        return;
      }
      assert.deepEqual(values.slice(0, expected.length), expected);
      assert.equal(crc32(new Uint8Array(values.buffer)), SUMS[name]);
    });

    it(`has the same numbers in any rows, orders and parts of ${name}`, async () => {
      const entry = entryOf(name);
      const values = read(entry);
      assert.deepEqual(read(entry, 30, 130), rows(values, 30, 130));
      const half = ROWS / 2;
      const swapped = { ...entry, order: "swapped" } as const;
      const other = Float32Array.of(...rows(values, half, ROWS), ...rows(values, 0, half));
      assert.deepEqual(read(swapped), other);
      const paired = { ...entry, order: "paired", headRows: ROWS } as const;
      assert.deepEqual(read(paired, 3, 4), rows(values, 6, 7));
      const parts = splitRows(entry, [33, 1, 126]);
      assert.deepEqual(Float32Array.of(...parts.flatMap((part) => [...read(part)])), values);
      const again = splitRows(parts[2]!, [63, 63]);
      assert.deepEqual(Float32Array.of(...again.flatMap((part) => [...read(part)])), rows(values, 34, ROWS));
      // Adding zero makes 0 of -0.
      const plain = (values: Float32Array) => values.map((value) => value + 0);
      assert.deepEqual(await inGraph(entry), plain(values));
      assert.deepEqual(await inGraph(swapped), plain(other));
      assert.deepEqual(await inGraph(paired), plain(read(paired)));
      assert.deepEqual(await inGraph(parts[2]!), plain(rows(values, 34, ROWS)));
      const turned = { ...entry, order: "transposed", shape: [COLUMNS, ROWS] } as const;
      const columns = Float32Array.from(
        values,
        (_, i) => values[(i % ROWS) * COLUMNS + Math.floor(i / ROWS)]!,
      );
      assert.deepEqual(await inGraph(turned), plain(columns));
    });
  }

  for (const name of ["nvfp4", "int8", "int8_rows"]) {
    it(`keeps the numbers of ${name} in the blocks of a layer`, async () => {
      const parts = [entryOf(name), splitRows(entryOf(name), [34, 126])[1]!];
      for (const entry of parts) {
        const quantizations = (["as-stored", "int8"] as const).flatMap((held) =>
          [false, true].map((wholeRows) => quantizationOf(entry, held, { wholeRows })!)
        );
        const sizes = quantizations.map(({ blockSize }) => blockSize);
        assert.deepEqual(sizes, name === "nvfp4" ? [16, 16, 16, 16] : [32, COLUMNS, 32, COLUMNS]);
        const values = read(entry);
        for (const quantization of new Map(quantizations.map((one) => [one.blockSize, one])).values()) {
          const error = maxError(await inLayer(entry, quantization), values);
          assert.ok(error < 2e-6, `${JSON.stringify(quantization)}: ${error}`);
        }
      }
    });
  }

  for (const name of ["fp8_rows", "mxfp8", "int8_convrot", "nvfp4"]) {
    it(`is rounded from ${name} where its blocks are not ONNX Runtime's`, async () => {
      const entry = entryOf(name);
      const held = name === "nvfp4" ? "int4" : "int8";
      const quantization = quantizationOf(entry, held)!;
      const values = read(entry);
      const found = await inLayer(entry, quantization);
      const { bits, blockSize } = quantization;
      for (let at = 0; at < values.length; at += blockSize) {
        const error = maxError(found.subarray(at, at + blockSize), values.subarray(at, at + blockSize));
        assert.ok(error <= (bits === 8 ? 0.52 / 127 : 1.01 / 8), `at ${at}: ${error}`);
      }
    });
  }

  it("is rounded by --weights auto if ONNX Runtime has no such blocks", () => {
    const choose = (name: string) =>
      resolveWeights("auto", {
        components: [{ weights: new Map([["x.weight", entryOf(name)]]) }],
        dtype: "float32",
        memoryBytes: undefined,
      });
    assert.deepEqual(["nvfp4", "int8", "fp8_rows"].map(choose), ["as-stored", "as-stored", "as-stored"]);
    assert.deepEqual(["mxfp8", "int8_convrot"].map(choose), ["int8", "int8"]);
  });
});

describe("a file with weights in fewer bits", () => {
  let path: string;
  beforeEach(() => {
    path = join(Deno.makeTempDirSync(), "x.safetensors");
  });
  afterEach(() => Deno.removeSync(join(path, ".."), { recursive: true }));

  const zeros = (dtype: string, shape: number[], bytes = 1): FileTensor => ({
    dtype,
    shape,
    data: new Uint8Array(shape.reduce((product, n) => product * n, bytes)),
  });
  const floats = (shape: number[], value = 0.5): FileTensor => ({
    dtype: "F32",
    shape,
    data: new Uint8Array(new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(value).buffer),
  });
  const text = (json: string): FileTensor => {
    const data = new TextEncoder().encode(json);
    return { dtype: "U8", shape: [data.length], data };
  };
  const config = (format: string, more = {}) => text(JSON.stringify({ format, ...more }));
  const write = (tensors: Record<string, FileTensor>) =>
    writeSafetensors(path, new Map(Object.entries(tensors)));
  const nvfp4 = (more = {}) => ({
    "x.weight": zeros("U8", [32, 32]),
    "x.weight_scale": zeros("F8_E4M3", [128, 4]),
    "x.weight_scale_2": floats([]),
    "x.comfy_quant": config("nvfp4"),
    ...more,
  });
  const int8 = (options = {}, more = {}) => ({
    "x.weight": zeros("I8", [32, 64]),
    "x.weight_scale": floats([32, 1]),
    "x.comfy_quant": config("int8_tensorwise", options),
    ...more,
  });
  const fp8 = (more = {}) => ({ "x.weight": zeros("F8_E4M3", [32, 64]), ...more });

  const READ: Record<string, Record<string, FileTensor>> = {
    "a scale of one element": fp8({ "x.weight_scale": floats([1, 1]) }),
    "an older program's options": int8({ params: { convrot: true, convrot_groupsize: 64 } }),
    "the size of blocks and shapes said again": nvfp4({
      "x.comfy_quant": config("nvfp4", {
        group_size: 16,
        orig_dtype: "torch.bfloat16",
        orig_shape: [32, 64],
      }),
    }),
    "block scales as plain bytes": nvfp4({ "x.weight_scale": zeros("U8", [128, 4]) }),
    "rows that convert_to_quant describes": fp8({
      "x.weight_scale": floats([32]),
      "x.comfy_quant": config("float8_e4m3fn_rowwise"),
    }),
  };
  for (const [what, tensors] of Object.entries(READ)) {
    it(`is read with ${what}`, () => {
      write(tensors);
      const found = readTensors(path);
      assert.deepEqual([...found.keys()], ["x.weight"]);
      assert.deepEqual(found.get("x.weight")!.shape, [32, 64]);
      assert.equal(read(found.get("x.weight")!).length, 32 * 64);
    });
  }

  it("is read with scales and description in another shard", async () => {
    const folder = join(path, "..");
    const parts = { "nvfp4.weight": "a", "nvfp4.weight_scale": "b", "nvfp4.weight_scale_2": "b" };
    const rest = { "fp8_rows.weight": "a", "fp8_rows.weight_scale": "b" };
    const { tensors: stored } = readStoredTensors(goldenPath("comfy/types.safetensors"));
    const shards: Record<string, [string, FileTensor][]> = { a: [], b: [] };
    for (const [name, shard] of Object.entries({ ...parts, ...rest })) {
      const { shape, offset, byteLength, path, dtype } = stored.get(name)!;
      const data = Deno.readFileSync(path).subarray(offset, offset + byteLength);
      shards[shard]!.push([name, { dtype: CODES[dtype]!, shape, data }]);
    }
    shards["b"]!.push(["nvfp4.comfy_quant", config("nvfp4")]);
    for (const [shard, tensors] of Object.entries(shards)) {
      writeSafetensors(join(folder, `${shard}.safetensors`), new Map(tensors));
    }
    const weight_map = Object.fromEntries(
      Object.entries(shards).flatMap(([shard, tensors]) =>
        tensors.map(([name]) => [name, `${shard}.safetensors`])
      ),
    );
    Deno.writeTextFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map }));
    const found = openWeights(folder, "model");
    assert.deepEqual([...found.keys()].sort(), ["fp8_rows.weight", "nvfp4.weight"]);
    for (const [name, entry] of found) {
      const expected = read(ENTRIES.get(name)!);
      assert.deepEqual(read(entry), expected);
      assert.deepEqual(await inGraph(entry), expected.map((value) => value + 0));
    }
  });

  const REFUSED: Record<string, [Record<string, FileTensor>, RegExp]> = {
    "scales of columns": [
      fp8({ "x.weight_scale": floats([1, 64]) }),
      /'x\.weight_scale' must be one number, or one for each of 32 rows, but its shape is \[1,64\]/,
    ],
    "scales of blocks": [
      fp8({ "x.weight_scale": floats([2, 4]) }),
      /must be one number, or one for each of 32 rows, but its shape is \[2,4\]/,
    ],
    "one scale of many that is not finite": [
      fp8({ "x.weight_scale": floats([32, 1], Infinity) }),
      /'x\.weight_scale' must be finite, but is Infinity/,
    ],
    "whole numbers as scales": [
      fp8({ "x.weight_scale": zeros("U8", [32, 1]) }),
      /'x\.weight_scale' must be floats, but is uint8/,
    ],
    "a format of 4-bit activations": [
      int8({}, { "x.comfy_quant": config("convrot_w4a4") }),
      /'x\.weight' is in ComfyUI's format convrot_w4a4, which we do not read\. Try .* bf16, fp8 or GGUF/,
    ],
    "int4 with a codebook": [
      int8({}, { "x.comfy_quant": config("asym_w4a8_int8", { convrot_groupsize: 256 }) }),
      /'x\.weight' is in ComfyUI's format asym_w4a8_int8/,
    ],
    "an option that it does not know": [
      int8({ codebook: true }),
      /is in ComfyUI's format int8_tensorwise with 'codebook' true, which we do not read/,
    ],
    "rotated numbers of four bits": [
      nvfp4({ "x.comfy_quant": config("nvfp4", { convrot: true }) }),
      /is in ComfyUI's format nvfp4 with 'convrot' true/,
    ],
    "blocks of another size": [
      nvfp4({ "x.comfy_quant": config("nvfp4", { group_size: 32 }) }),
      /is in ComfyUI's format nvfp4 with 'group_size' 32/,
    ],
    "a description of another type": [
      fp8({ "x.weight_scale": floats([]), "x.comfy_quant": config("float8_e5m2") }),
      /'x\.weight' must be float8_e5m2 in ComfyUI's float8_e5m2, but is float8_e4m3fn/,
    ],
    "a description but no scale": [
      fp8({ "x.comfy_quant": config("float8_e4m3fn") }),
      /marked as scaled fp8, but 'x\.weight' has no scale/,
    ],
    "block scales that are not in tiles": [
      nvfp4({ "x.weight_scale": zeros("F8_E4M3", [32, 4]) }),
      /'x\.weight' must have block scales of float8_e4m3fn \[128,4\] in ComfyUI's nvfp4, .* \[32,4\]/,
    ],
    "no scale of the tensor": [
      Object.fromEntries(Object.entries(nvfp4()).filter(([name]) => name !== "x.weight_scale_2")),
      /'x\.weight' is in ComfyUI's nvfp4, but has no 'weight_scale_2'/,
    ],
    "activations that are scaled first": [
      nvfp4({ "x.pre_quant_scale": floats([64]) }),
      /'x\.pre_quant_scale' says how 'x\.weight' was quantized, and we do not know this way/,
    ],
    "4-bit numbers that nothing describes": [
      Object.fromEntries(Object.entries(nvfp4()).filter(([name]) => name !== "x.comfy_quant")),
      /'x\.weight' is quantized to uint8 in a way that we do not know/,
    ],
    "groups that do not fill a row": [
      int8({ convrot: true, convrot_groupsize: 256 }),
      /must have rows of whole groups in ComfyUI's ConvRot, but has \[32,64\] and 256/,
    ],
    "groups of no power of four": [
      int8({ convrot: true, convrot_groupsize: 32 }),
      /must have rows of whole groups in ComfyUI's ConvRot, but has \[32,64\] and 32/,
    ],
    "a description that is not JSON": [
      int8({}, { "x.comfy_quant": text("{") }),
      /'x\.comfy_quant' is not JSON/,
    ],
    "a description without a format": [
      int8({}, { "x.comfy_quant": text("{}") }),
      /the description of 'x' must name a format, but is \{\}/,
    ],
    "a description of nothing": [
      { "x.comfy_quant": config("nvfp4") },
      /describes the quantization of 'x\.weight', which it does not hold/,
    ],
    "a long description": [
      int8({}, { "x.comfy_quant": zeros("U8", [20_000]) }),
      /'x\.comfy_quant' must have at most 10000 bytes, but has 20000/,
    ],
  };
  for (const [what, [tensors, message]] of Object.entries(REFUSED)) {
    it(`is refused with ${what}`, () => {
      write(tensors);
      assert.throws(() => readTensors(path), (error: Error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, message);
        assert.ok(!error.message.includes("\n"));
        return true;
      });
    });
  }
});
