// Loads a graph and runs it once on the CPU.
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import { Runtime, type Tensor } from "../../../gpu-worker/runtime/mod.ts";

/** A graph input: float32 values, or ids that become int64. */
export interface GraphInput {
  shape: readonly number[];
  data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
}

/** Runs `model` and returns its float32 outputs by name. */
export async function runGraph(
  model: OnnxModel,
  inputs: Record<string, GraphInput>,
): Promise<Record<string, { shape: readonly number[]; data: Float32Array }>> {
  using stack = new DisposableStack();
  const runtime = stack.use(Runtime.open());
  const session = stack.use(await runtime.createSession(model));
  const feeds: Record<string, Tensor> = {};
  for (const [name, { shape, data }] of Object.entries(inputs)) {
    feeds[name] = stack.use(
      data instanceof Float32Array
        ? runtime.tensor("float32", shape, data)
        : runtime.tensor("int64", shape, BigInt64Array.from(data, BigInt)),
    );
  }
  if (session.inputNames.includes("history") && !("history" in feeds)) {
    // Feed a full pass that measures no forecast error (layers/feature_output.ts).
    const rank = session.inputs.find(({ name }) => name === "history")!.dims.length;
    feeds["history"] = stack.use(runtime.tensor("float32", Array(rank).fill(1), new Float32Array(1)));
    feeds["forecast_weights"] = stack.use(runtime.tensor("float32", [1, 1], new Float32Array(1)));
  }
  const outputs = await session.run(feeds);
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => {
      stack.use(tensor);
      return [name, { shape: tensor.dims, data: tensor.as("float32").data().slice() }];
    }),
  );
}
