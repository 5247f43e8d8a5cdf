// Runs a graph on the CPU and on WebGPU, and says which of its nodes ran where.
import assert from "node:assert/strict";
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import { Runtime, type Tensor } from "../../../gpu-worker/runtime/mod.ts";
import { maxError } from "../../goldens/golden.ts";
import { leftOnCpu } from "./left_on_cpu.ts";

/** An input by its shape and its values: floats, or whole numbers that become int64. */
export interface Input {
  shape: readonly number[];
  data: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;
}

export type Inputs = Record<string, Input>;

export interface Compared {
  /** Largest error of each float32 output, relative to its largest value on the CPU. */
  errors: Record<string, number>;
  /** Nodes that computed floats on the CPU although the graph ran on WebGPU, as "Op -> type". */
  left: string[];
}

/** The runtimes of a test file, which live as long as the process: each start of a device takes a second. */
const runtimes = new Map<"cpu" | "webgpu", Runtime>();

export function runtimeOn(provider: "cpu" | "webgpu"): Runtime {
  let runtime = runtimes.get(provider);
  if (runtime === undefined) runtimes.set(provider, runtime = Runtime.open({ provider }));
  return runtime;
}

export async function onBoth(model: OnnxModel, inputs: Inputs): Promise<Compared> {
  const expected = await outputsOf(runtimeOn("cpu"), { model, inputs });
  const folder = await Deno.makeTempDir({ prefix: "webgpu-profile-" });
  try {
    const actual = await outputsOf(runtimeOn("webgpu"), { model, inputs, profilePrefix: `${folder}/p` });
    const errors = Object.fromEntries(
      Object.keys(expected.values).map((name) => {
        assert.deepEqual(actual.values[name]!.shape, expected.values[name]!.shape, name);
        return [name, maxError(actual.values[name]!.data, expected.values[name]!.data)];
      }),
    );
    return { errors, left: await leftOnCpu(actual.profile!) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface Run {
  model: OnnxModel;
  inputs: Inputs;
  profilePrefix?: string;
}

async function outputsOf(runtime: Runtime, { model, inputs, profilePrefix }: Run) {
  using owned = new DisposableStack();
  const session = owned.use(await runtime.createSession(model, profilePrefix ? { profilePrefix } : {}));
  const feeds: Record<string, Tensor> = {};
  for (const [name, { shape, data }] of Object.entries(inputs)) {
    if (!session.inputNames.includes(name)) continue;
    feeds[name] = owned.use(
      data instanceof Float32Array
        ? runtime.tensor("float32", shape, data)
        : runtime.tensor("int64", shape, data),
    );
  }
  const values: Record<string, { shape: readonly number[]; data: Float32Array }> = {};
  for (const [name, tensor] of Object.entries(await session.run(feeds))) {
    owned.use(tensor);
    if (tensor.dtype !== "float32") continue;
    values[name] = { shape: tensor.dims, data: await tensor.as("float32").toArray() };
  }
  return { values, profile: profilePrefix && session.endProfiling() };
}
