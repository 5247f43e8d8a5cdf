import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { GraphBuilder, type Value } from "../../../gpu-worker/graph/graph_builder.ts";
import { adaptiveLayerNorm } from "../../../gpu-worker/graph/layers/norm/adaptive_layer_norm.ts";
import { graphError } from "../../../gpu-worker/runtime/graph_error.ts";
import { type GraphProto, ModelProtoSchema } from "../../../gpu-worker/runtime/messages/onnx_pb.ts";
import {
  DeviceLimitError,
  type DType,
  DTYPE_BYTES,
  OrtError,
  Runtime,
} from "../../../gpu-worker/runtime/mod.ts";
import { WebgpuDevice } from "../../../gpu-worker/runtime/webgpu/webgpu_device.ts";
import { firstFrameConv3d } from "../../../gpu-worker/graph/wan_vae/causal_conv3d.ts";
import { conv2d } from "../../../gpu-worker/graph/layers/convolution/conv2d.ts";
import { embedding } from "../../../gpu-worker/graph/layers/dense/embedding.ts";
import { linear } from "../../../gpu-worker/graph/layers/dense/linear.ts";
import { maxError } from "../../goldens/golden.ts";

/** A matrix of 512 MiB in float16, which is never read. */
const [ROWS, COLUMNS] = [2 ** 14, 2 ** 14];
const MIB = 2 ** 20;

describe("WebgpuDevice", () => {
  it("names a weight that exceeds the adapter's buffers, with its bytes in the compute type", async () => {
    const device = deviceOf(1023 * MIB);
    await assert.rejects(device.adapt(projection("float32")), (error) => {
      assert(error instanceof DeviceLimitError);
      assert.match(
        error.message,
        /^Cannot load 'network' on WebGPU: 'proj\.weight' must fit into one buffer/,
      );
      assert.match(
        error.message,
        new RegExp(`holds ${1023 * MIB} bytes, but takes ${1024 * MIB}\\. Try --weights`),
      );
      return true;
    });
    await device.adapt(projection("float16"));
    await deviceOf(1024 * MIB).adapt(projection("float32"));
  });

  it("asks for the limit only if a weight is larger than every adapter's buffers", async () => {
    const device = new WebgpuDevice({ run: () => assert.fail(), largestBuffer: () => assert.fail() });
    await device.adapt(projection("float32", 2 ** 12));
  });

  it("leaves a large table in bfloat16 to the CPU", async () => {
    for (const [rows, inputs] of [[ROWS, 0], [2 ** 8, 1]] as const) {
      const { node } = graphOf(await deviceOf(1).adapt(lookUp(rows)));
      const casts = node.filter(({ opType, input }) => opType === "Cast" && input[0] === "table.weight");
      assert.equal(casts.length, inputs);
    }
  });

  it("takes a norm's scale for each picture out of the norm, and computes the same", async () => {
    const graph = new GraphBuilder({ name: "norms", weights: new Map(), dtype: "float16" });
    const [x, scale, shift] = ["x", "scale", "shift"].map((name) =>
      graph.cast(graph.input(name, ["rows", name === "x" ? "tokens" : 1, 8], "float32"))
    ) as [Value, Value, Value];
    const ones = graph.constant(new Array(8).fill(1));
    const plain = graph.node("LayerNormalization", [x, ones], { attributes: { axis: -1 } });
    const normed = adaptiveLayerNorm(graph, plain, { scale, shift, features: 8, eps: 1e-5 });
    graph.output("y", graph.cast(normed, "float32"), ["rows", "tokens", 8]);
    const { bytes } = graph.build();
    const adapted = await deviceOf(Infinity).adapt(bytes);
    const norms = graphOf(adapted).node.filter(({ opType }) => opType === "LayerNormalization");
    assert.deepEqual(norms.map(({ input }) => input.length), [2, 2]);

    using runtime = Runtime.open();
    const values = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * i));
    const run = async (model: Uint8Array) => {
      using session = await runtime.createSession(model);
      using a = runtime.tensor("float32", [2, 3, 8], values(48));
      using b = runtime.tensor("float32", [2, 1, 8], values(16));
      using c = runtime.tensor("float32", [2, 1, 8], values(16).reverse());
      using y = (await session.run({ x: a, scale: b, shift: c }))["y"]!;
      return await y.as("float32").toArray();
    };
    // Products are rounded once more, to 11 bits.
    assert(maxError(await run(adapted), await run(bytes)) < 2 ** -10);
  });

  it("splits into many parts without binding many buffers", async () => {
    for (const [parts, op] of [[7, "Split"], [8, "Slice"], [24, "Slice"]] as const) {
      const graph = new GraphBuilder({ name: "parts", weights: new Map(), dtype: "float32" });
      const x = graph.input("x", ["rows", parts]);
      const values = graph.nodes("Split", [x], {
        attributes: { axis: 1, num_outputs: parts },
        outputs: parts,
      });
      for (const [i, value] of values.entries()) graph.output(`y${i}`, value, ["rows", 1]);
      const { node } = graphOf(await deviceOf(Infinity).adapt(graph.build().bytes));
      const ops = node.map(({ opType }) => opType).filter((name) => /^Sp?li/.test(name));
      assert.deepEqual(new Set(ops), new Set([op]));
    }
  });
});

describe("WebgpuDevice and convolutions", () => {
  for (const [channels, out, pads] of [[6, 4, 2], [9, 8, 2], [8, 4, 0], [3, 4, 0], [6, 6, 0]] as const) {
    it(`pads ${pads === 0 ? "nothing" : "input and kernel"} for ${channels} channels to ${out}`, async () => {
      const shapes = { "a.weight": [out, channels, 3, 3], "b.weight": [out, channels, 3, 3, 3] };
      const weights = new Map(
        Object.entries({ ...shapes, "a.bias": [out], "b.bias": [out] })
          .map(([name, shape]) => [name, entryOf(shape, "float32")]),
      );
      const graph = new GraphBuilder({ name: "network", weights, dtype: "float32" });
      const x = graph.input("x", [1, channels, "height", "width"]);
      const options = { inChannels: channels, outChannels: out, kernelSize: 3 };
      graph.output("planar", conv2d(graph, x, { name: "a", ...options }), [1, out, "height", "width"]);
      graph.output("sliced", firstFrameConv3d(graph, x, { name: "b", ...options }), [
        1,
        out,
        "height",
        "width",
      ]);
      const { node } = graphOf(await deviceOf(Infinity).adapt(graph.build().bytes));
      assert.equal(node.filter(({ opType }) => opType === "Pad").length, 2 * pads);
    });
  }
});

describe("graphError()", () => {
  it("names the remedy if a result does not fit into a buffer", () => {
    const message =
      "WebGPU validation failed. Buffer size (1153433600) exceeds the max buffer size limit (1073741824).";
    const error = graphError(new OrtError(message, { code: "fail" }), "run", "trunk");
    assert(error instanceof DeviceLimitError);
    assert.match(
      error.message,
      /^Cannot run 'trunk': .* holds 1073741824 bytes, but takes 1153433600\. Try a smaller/,
    );
  });
});

function deviceOf(bytes: number): WebgpuDevice {
  return new WebgpuDevice({ run: () => assert.fail(), largestBuffer: () => Promise.resolve(bytes) });
}

/** A linear layer whose weight is stored in float16. */
function projection(dtype: DType, rows = ROWS): Uint8Array {
  const graph = builder("proj.weight", { rows, stored: "float16", dtype });
  const x = graph.input("x", ["rows", COLUMNS]);
  const options = { name: "proj", inFeatures: COLUMNS, outFeatures: rows, bias: false };
  graph.output("y", linear(graph, x, options), ["rows", rows]);
  return graph.build().bytes;
}

/** A table of embeddings in bfloat16. */
function lookUp(rows: number): Uint8Array {
  const graph = builder("table.weight", { rows, stored: "bfloat16", dtype: "float32" });
  const x = graph.input("x", ["tokens"], "int64");
  graph.output("y", embedding(graph, x, { name: "table", count: rows, features: COLUMNS }), [
    "tokens",
    COLUMNS,
  ]);
  return graph.build().bytes;
}

function builder(
  name: string,
  { rows, stored, dtype }: { rows: number; stored: "float16" | "bfloat16"; dtype: DType },
): GraphBuilder {
  return new GraphBuilder({
    name: "network",
    weights: new Map([[name, entryOf([rows, COLUMNS], stored)]]),
    dtype,
  });
}

/** A tensor of a file that is never read. */
function entryOf(shape: readonly number[], dtype: DType) {
  const byteLength = shape.reduce((product, dim) => product * dim, DTYPE_BYTES[dtype]);
  return { path: "/nowhere", offset: 0, byteLength, shape, dtype };
}

function graphOf(bytes: Uint8Array): GraphProto {
  return fromBinary(ModelProtoSchema, bytes).graph!;
}
