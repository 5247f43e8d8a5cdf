// Convolutions by tiles against direct ones, and which of a UNet's convolutions are computed so.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import type { Weights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { unetConvolutions } from "../../../../gpu-worker/families/unet/unet_convolutions.ts";
import { GraphBuilder, type Value } from "../../../../gpu-worker/graph/graph_builder.ts";
import { conv2d } from "../../../../gpu-worker/graph/layers/convolution/conv2d.ts";
import { tileMatrices } from "../../../../gpu-worker/graph/layers/convolution/tile_matrices.ts";
import { tiledConv2d } from "../../../../gpu-worker/graph/layers/convolution/tiled_conv2d.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";
import { runGraph } from "../run_graph.ts";
import { numbers } from "./numbers.ts";

/** Largest difference over the largest result: rounding of a hundred sums, which tiles magnify five times. */
const TOLERANCE = 5e-6;
const [IN, OUT] = [24, 20];

let folder: string;
beforeEach(() => void (folder = Deno.makeTempDirSync()));
afterEach(() => Deno.removeSync(folder, { recursive: true }));

/** Stores a convolution `c`. */
function store(): Weights {
  const path = join(folder, "x.safetensors");
  Deno.writeFileSync(
    path,
    encodeSafetensors([
      { name: "c.weight", dims: [OUT, IN, 3, 3], data: numbers(OUT * IN * 9, 12.9898) },
      { name: "c.bias", dims: [OUT], data: numbers(OUT, 7.1) },
    ]),
  );
  return readTensors(path);
}

/** Runs a graph with the input [batch, IN, height, width]. */
async function run(
  weights: Weights,
  [batch, height, width]: readonly [number, number, number],
  emit: (graph: GraphBuilder, x: Value) => Value,
) {
  const graph = new GraphBuilder({ name: "convolution", weights, dtype: "float32" });
  const x = graph.input("x", ["batch", IN, "height", "width"]);
  graph.output("y", emit(graph, x), ["batch", OUT, "height", "width"]);
  const shape = [batch, IN, height, width];
  const { y } = await runGraph(graph.build(), {
    x: { shape, data: numbers(batch * IN * height * width, 78.233) },
  });
  return y!;
}

describe("tiledConv2d()", () => {
  for (const size of [[1, 4, 4], [2, 8, 12], [3, 5, 6], [2, 1, 1], [1, 13, 7], [1, 3, 66]] as const) {
    it(`gives conv2d's result on maps of ${size.join("x")}`, async () => {
      const weights = store();
      const options = { name: "c", inChannels: IN, outChannels: OUT };
      const direct = await run(weights, size, (graph, x) => conv2d(graph, x, { ...options, kernelSize: 3 }));
      const tiled = await run(
        weights,
        size,
        (graph, x) => tiledConv2d(graph, x, { ...options, matrices: tileMatrices(graph, x) }),
      );
      assert.deepEqual(tiled.shape, direct.shape);
      const largest = direct.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const error = direct.data.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - tiled.data[i]!)),
        0,
      );
      assert.ok(error <= TOLERANCE * largest, `${error / largest}`);
    });
  }
});

describe("unetConvolutions()", () => {
  const MODULES = {
    "conv_in": [256, 256],
    "down_blocks.0.resnets.0.conv1": [256, 256],
    "down_blocks.0.resnets.0.conv2": [128, 256],
    "down_blocks.1.resnets.1.conv2": [256, 256],
    "down_blocks.1.downsamplers.0.conv": [256, 256],
    "down_blocks.2.resnets.0.conv1": [256, 256],
    "mid_block.resnets.0.conv1": [256, 256],
    "up_blocks.0.resnets.0.conv1": [256, 256],
    "up_blocks.0.upsamplers.0.conv": [256, 256],
    "up_blocks.1.resnets.2.conv1": [256, 256],
    "up_blocks.1.upsamplers.0.conv": [256, 256],
    "up_blocks.2.resnets.0.conv2": [256, 256],
  } as const;
  const TILED = [
    "down_blocks.0.resnets.0.conv1",
    "down_blocks.1.resnets.1.conv2",
    "up_blocks.0.upsamplers.0.conv",
    "up_blocks.1.resnets.2.conv1",
    "up_blocks.1.upsamplers.0.conv",
    "up_blocks.2.resnets.0.conv2",
  ];

  /** Emits all convolutions, each on an input of its own. Returns the model. */
  function build(provider: "cpu" | "cuda" | "webgpu" | undefined) {
    const entry = (shape: readonly number[]) => ({
      dtype: "float32" as const,
      shape,
      offset: 0,
      byteLength: 4 * shape.reduce((product, size) => product * size, 1),
      path: "/none",
    });
    const weights: Weights = new Map(
      Object.entries(MODULES).flatMap(([name, [outChannels, inChannels]]) => [
        [`${name}.weight`, entry([outChannels, inChannels, 3, 3])],
        [`${name}.bias`, entry([outChannels])],
      ]),
    );
    const graph = new GraphBuilder({ name: "unet", weights, dtype: "float32" });
    const convolve = unetConvolutions(graph, { weights, provider });
    for (const [name, [outChannels, inChannels]] of Object.entries(MODULES)) {
      const dims = ["batch", inChannels, `${name} height`, `${name} width`];
      const y = convolve(graph.input(`${name} x`, dims), { name, inChannels, outChannels });
      graph.output(`${name} y`, y, ["batch", outChannels, `${name} height`, `${name} width`]);
    }
    return graph.build();
  }

  it("computes wide convolutions on the two largest sizes of maps by tiles on the CPU", () => {
    const { heldShapes } = build("cpu");
    assert.deepEqual([...heldShapes], TILED.map((name) => [`${name}.weight`, [36, 256, 256]]));
  });

  for (const provider of ["cuda", "webgpu", undefined] as const) {
    it(`leaves all as they are on ${provider ?? "any device"}`, () => {
      assert.equal(build(provider).heldShapes.size, 0);
    });
  }
});
