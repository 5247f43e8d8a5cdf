import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { BlockHistory } from "../../../gpu-worker/denoiser/block_history.ts";
import type { FeatureHistory } from "../../../gpu-worker/denoiser/feature_history.ts";
import { openHistory } from "../../../gpu-worker/denoiser/open_history.ts";
import { SeparateHistory } from "../../../gpu-worker/denoiser/separate_history.ts";
import { featureSum } from "../../../gpu-worker/graph/feature_sum.ts";
import { GraphBuilder } from "../../../gpu-worker/graph/graph_builder.ts";
import { forecastInputs } from "../../../gpu-worker/graph/layers/head/forecast.ts";
import type { Runtime, Tensor } from "../../../gpu-worker/runtime/mod.ts";
import { maxError } from "../../goldens/golden.ts";
import { NO_SOFTWARE_GPU } from "../../software_gpu.ts";
import { runtimeOn } from "./on_both.ts";

const DIMS = [2, 8, 4];
const SLOTS = 5;
const STEPS = 3;
const LENGTH = DIMS.reduce((product, dim) => product * dim, 1);

describe("FeatureHistory on WebGPU", { skip: NO_SOFTWARE_GPU !== false }, () => {
  it("keeps features in device tensors and forecasts as the CPU does", async () => {
    const expected = await forecastOn(runtimeOn("cpu"), (history) => {
      assert(history instanceof BlockHistory);
    });
    const actual = await forecastOn(runtimeOn("webgpu"), (history) => {
      assert(history instanceof SeparateHistory);
    });
    for (const key of ["forecasts", "features"] as const) {
      assert(maxError(actual[key], expected[key]) <= 1e-6, key);
    }
  });

  it("allocates between calls only, and frees after them", async () => {
    const runtime = runtimeOn("webgpu");
    using session = await runtime.createSession(pass());
    using host = runtime.tensor("float32", DIMS, new Float32Array(LENGTH).fill(2));
    const runs = [1, 2, 3].map(() => session.run({ x: host }));
    assert.throws(
      () => runtime.allocate("float32", [1]),
      /Cannot allocate memory on webgpu while another call/,
    );
    // Disposed of while the other runs go on: a buffer that is freed at once ends the process.
    const [first, ...others] = runs;
    (await first!)["y"]![Symbol.dispose]();
    for (const run of others) {
      using y = (await run)["y"]!;
      assert.deepEqual(new Set(await y.as("float32").toArray()), new Set([4]));
    }
    using again = runtime.allocate("float32", [1]);
    assert.equal(again.location, "webgpu");
  });
});

async function forecastOn(runtime: Runtime, check: (history: FeatureHistory) => void) {
  using owned = new DisposableStack();
  const load = async (model: Parameters<Runtime["createSession"]>[0]) =>
    owned.use(await runtime.createSession(model));
  const options = { slots: SLOTS, dims: DIMS, dtype: "float32" } as const;
  const history = owned.use(
    openHistory(runtime, { ...options, featureSum: await load(featureSum("float32")) }),
  );
  check(history);
  const trunk = await load(pass());
  for (let slot = 0; slot < SLOTS; slot++) {
    using x = runtime.tensor(
      "float32",
      DIMS,
      Float32Array.from({ length: LENGTH }, (_, i) => Math.sin(i + slot)),
    );
    const place: Tensor | undefined = history.slot(slot);
    const { y } = await trunk.run({ x }, { outputs: { ...place && { y: place } } });
    assert.equal(y!.location, runtime.provider);
    if (!place) history.store(slot, y!);
  }
  const graph = new GraphBuilder({ name: "head", weights: new Map(), dtype: "float32" });
  graph.output("output", forecastInputs(graph, ["tokens", 4]).feature, ["rows", "tokens", 4]);
  const head = await load(graph.build());
  const values = Float32Array.from({ length: STEPS * (SLOTS - 1) }, (_, i) => Math.cos(i));
  const weights = owned.use(runtime.tensor("float32", [STEPS, SLOTS - 1], values));
  const { feeds, compute } = history.forecasts(weights);
  const computed = await compute?.({ owned, signal: undefined }) ?? feeds;
  assert.equal(computed["history"]!.location, runtime.provider);
  const { output } = await head.run(computed);
  return {
    forecasts: await owned.use(output!).as("float32").toArray(),
    features: await history.toArray(),
  };
}

/** A graph that doubles a feature. */
function pass() {
  const graph = new GraphBuilder({ name: "pass", weights: new Map(), dtype: "float32" });
  const dims = ["batch", "tokens", 4];
  graph.output("y", graph.node("Mul", [graph.input("x", dims), graph.scalar(2)]), dims);
  return graph.build();
}
