// Matrices that are computed before the load have the bits of those that ONNX Runtime folds.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import type { WeightEntry } from "../../../gpu-worker/checkpoint/weights.ts";
import { GraphBuilder, type OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import { conv2d } from "../../../gpu-worker/graph/layers/convolution/conv2d.ts";
import { tileMatrices } from "../../../gpu-worker/graph/layers/convolution/tile_matrices.ts";
import { tiledConv2d } from "../../../gpu-worker/graph/layers/convolution/tiled_conv2d.ts";
import { linear } from "../../../gpu-worker/graph/layers/dense/linear.ts";
import { liveHandles, OrtError, Runtime, type Session, toBfloat16 } from "../../../gpu-worker/runtime/mod.ts";
import { loadComputed } from "../../../gpu-worker/session/load_computed.ts";

/** Products of so few numbers have the same order of additions, packed or not. */
const CHANNELS = 32;
const SIZE = 4;
const RANK = 4;

const SHAPES = {
  "table": [7, CHANNELS],
  "conv.weight": [CHANNELS, CHANNELS, 3, 3],
  "conv.bias": [CHANNELS],
  "tiled.weight": [CHANNELS, CHANNELS, 3, 3],
  "tiled.bias": [CHANNELS],
  "linear.weight": [2 * CHANNELS, CHANNELS],
  "linear.bias": [2 * CHANNELS],
  "lora.weight": [CHANNELS, 2 * CHANNELS],
  "lora.up": [CHANNELS, RANK],
  "lora.down": [RANK, 2 * CHANNELS],
};

let folder: string;
beforeEach(() => {
  folder = Deno.makeTempDirSync();
});
afterEach(() => Deno.removeSync(folder, { recursive: true }));

function writeWeights(dtype: "float16" | "bfloat16"): Map<string, WeightEntry> {
  const path = join(folder, `${dtype}.weights`);
  const entries = new Map<string, WeightEntry>();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let offset = 0;
  for (const [name, shape] of Object.entries(SHAPES)) {
    const count = shape.reduce((product, n) => product * n, 1);
    const numbers = Float32Array.from({ length: count }, (_, i) => Math.sin(i + offset) / 8);
    const bits = dtype === "float16" ? Float16Array.from(numbers) : toBfloat16(numbers);
    const bytes = new Uint8Array(bits.buffer as ArrayBuffer);
    entries.set(name, { path, dtype, shape, offset, byteLength: bytes.length });
    parts.push(bytes);
    offset += bytes.length;
  }
  Deno.writeFileSync(path, new Uint8Array(parts.flatMap((part) => [...part])));
  const [up, down] = [entries.get("lora.up")!, entries.get("lora.down")!];
  entries.set("lora.weight", { ...entries.get("lora.weight")!, additions: [{ up, down, scale: 0.5 }] });
  return entries;
}

/** A graph with each use of a weight: convolved, multiplied with and without a LoRA, added, and looked up. */
function build(weights: Map<string, WeightEntry>): OnnxModel {
  const graph = new GraphBuilder({ name: "some graph", weights, dtype: "float32" });
  const x = graph.input("x", [1, CHANNELS, "height", SIZE]);
  const maps = { inChannels: CHANNELS, outChannels: CHANNELS };
  const y = conv2d(graph, x, { name: "conv", ...maps, kernelSize: 3 });
  const tiled = tiledConv2d(graph, y, { name: "tiled", ...maps, matrices: tileMatrices(graph, y) });
  graph.output("y", tiled, [1, CHANNELS, "height", SIZE]);
  const stored = graph.cast(
    graph.node("Gather", [graph.weight("table", SHAPES.table, "stored"), graph.ints(3)]),
  );
  const tokens = graph.node("Add", [graph.weight("table", SHAPES.table), stored]);
  const moved = graph.node("Add", [tokens, graph.node("ReduceMean", [x], { attributes: { keepdims: 0 } })]);
  const wide = linear(graph, moved, { name: "linear", inFeatures: CHANNELS, outFeatures: 2 * CHANNELS });
  const options = { name: "lora", inFeatures: 2 * CHANNELS, outFeatures: CHANNELS, bias: false };
  graph.output("z", linear(graph, wide, options), [7, CHANNELS]);
  return graph.build();
}

async function run(runtime: Runtime, session: Session): Promise<number[][]> {
  const dims = [1, CHANNELS, SIZE, SIZE];
  const data = Float32Array.from({ length: CHANNELS * SIZE * SIZE }, (_, i) => Math.cos(i));
  using x = runtime.tensor("float32", dims, data);
  const outputs = await session.run({ x });
  return Object.values(outputs).map((tensor) => {
    using output = tensor.as("float32");
    return [...output.data()];
  });
}

describe("loadComputed()", () => {
  for (const dtype of ["float16", "bfloat16"] as const) {
    it(`gives the bits of ONNX Runtime's folding of ${dtype}, and declares the same inputs`, async () => {
      const model = build(writeWeights(dtype));
      using runtime = Runtime.open();
      using folded = await runtime.createSession(model);
      using computed = await loadComputed(runtime, model);
      assert.deepEqual(computed.inputs, folded.inputs);
      assert.deepEqual(computed.outputs, folded.outputs);
      assert.deepEqual(await run(runtime, computed), await run(runtime, folded));
    });
  }

  it("keeps the matrices in memory of its own, and releases them with the session", async () => {
    const before = liveHandles();
    {
      using runtime = Runtime.open();
      using session = await loadComputed(runtime, build(writeWeights("float16")));
      // The memory, and in it two matrices and the tiles' kernels.
      assert.equal((liveHandles().Value ?? 0) - (before.Value ?? 0), 4);
      assert.equal(session.name, "some graph");
    }
    assert.deepEqual(liveHandles(), before);
  });

  it("leaves a graph of another type to ONNX Runtime", async () => {
    const before = liveHandles();
    {
      using runtime = Runtime.open();
      const graph = new GraphBuilder({ name: "half", weights: writeWeights("bfloat16"), dtype: "float16" });
      const x = graph.input("x", [1, CHANNELS]);
      const options = { name: "linear", inFeatures: CHANNELS, outFeatures: 2 * CHANNELS };
      graph.output("y", linear(graph, x, options), [1, 2 * CHANNELS]);
      using session = await loadComputed(runtime, graph.build());
      assert.deepEqual(session.outputNames, ["y"]);
      assert.equal(liveHandles().Value, before.Value);
    }
  });

  it("names the graph and a weight that its file lacks, and keeps nothing", async () => {
    const before = liveHandles();
    const model = build(writeWeights("float16"));
    const path = join(folder, "float16.weights");
    const { size } = Deno.statSync(path);
    Deno.truncateSync(path, size - 1);
    {
      using runtime = Runtime.open();
      await assert.rejects(loadComputed(runtime, model), (error) => {
        assert(error instanceof OrtError);
        assert.match(error.message, /^Cannot load 'some graph': .*lora_A 0.* are out of bounds/);
        return true;
      });
    }
    assert.deepEqual(liveHandles(), before);
  });
});
