// A run that allocates outputs. The C API can do so only for a run with bound tensors.
import { graphError } from "./graph_error.ts";
import { NativeHandle } from "./native_handle.ts";
import { cString } from "./c_string.ts";
import { out } from "./ort_api.ts";
import type { RuntimeContext } from "./runtime_context.ts";
import { type Tensor, type TensorContext, tensorOf } from "./tensor.ts";
import { readValueInfo } from "./value_info.ts";
import { withRunOptions } from "./with_run_options.ts";

export interface RunBoundOptions {
  context: TensorContext;
  /** Name of the graph. */
  graph: string;
  session: NativeHandle;
  feeds: Readonly<Record<string, Tensor>>;
  /** Names of the wanted outputs, in the order of the results. */
  fetch: readonly string[];
  /** Tensors that receive outputs. Other outputs are allocated. */
  outputs: Readonly<Record<string, Tensor>>;
  signal: AbortSignal | undefined;
}

/**
 * Runs without blocking the event loop. `Session` has checked the tensors.
 * @returns every wanted output by name: the given tensors, and new tensors that belong to the caller.
 * @throws {OrtError} if the graph fails.
 * @throws the signal's reason; the contents of the given outputs are then undefined.
 */
export async function runBound(options: RunBoundOptions): Promise<Record<string, Tensor>> {
  const { context, graph, session, feeds, outputs, signal } = options;
  // The run owns session and tensors, so disposing of them takes effect after it.
  using owned = new DisposableStack();
  for (const { handle } of [...Object.values(feeds), ...Object.values(outputs)]) owned.use(handle.retain());
  owned.use(session.retain());
  try {
    return await context.turns.take(async () => {
      signal?.throwIfAborted();
      return await bindAndRun(options);
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw graphError(error, "run", graph);
  }
}

/** Binding copies inputs to the device, so it belongs to the call. */
async function bindAndRun(
  { context, session, feeds, fetch, outputs, signal }: RunBoundOptions,
): Promise<Record<string, Tensor>> {
  const { api, provider, memoryInfo, turns } = context;
  const parents = [session];
  const pointer = out((cell) => api.CreateIoBinding(session.pointer, cell));
  using binding = new NativeHandle("IoBinding", pointer, {
    parents,
    release: (pointer) => turns.release(() => api.ReleaseIoBinding(pointer)),
  });
  for (const [name, { handle }] of Object.entries(feeds)) {
    api.BindInput(binding.pointer, cString(name), handle.pointer);
  }
  for (const name of fetch) {
    const given = outputs[name];
    if (given) api.BindOutput(binding.pointer, cString(name), given.handle.pointer);
    else api.BindOutputToDevice(binding.pointer, cString(name), memoryInfo(provider).pointer);
  }
  const run = (options: bigint) => api.RunWithBinding(session.pointer, options, binding.pointer);
  await withRunOptions(api, signal, run);
  signal?.throwIfAborted();
  const values = boundValues(context, binding.pointer);
  return Object.fromEntries(fetch.map((name, i) => [name, takeValue(context, values[i]!, outputs[name])]));
}

/** Returns the OrtValues of the outputs in binding order. Each must be released. */
function boundValues({ api, allocator }: RuntimeContext, binding: bigint): bigint[] {
  const count = new BigUint64Array(1);
  const list = out((cell) => api.GetBoundOutputValues(binding, allocator, cell, count));
  const view = new Deno.UnsafePointerView(Deno.UnsafePointer.create(list)!);
  const values = Array.from({ length: Number(count[0]) }, (_, i) => view.getBigUint64(i * 8));
  api.AllocatorFree(allocator, list);
  return values;
}

function takeValue(context: TensorContext, value: bigint, given: Tensor | undefined): Tensor {
  if (given !== undefined) {
    context.api.ReleaseValue(value);
    return given;
  }
  const { dtype, dims } = readValueInfo(context.api, value);
  return tensorOf(context, value, { dtype, dims, location: context.provider });
}
