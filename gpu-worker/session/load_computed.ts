// Loads a large graph on the CPU whose matrices are not stored as they are computed with: in another type,
// or without a LoRA. ONNX Runtime would fold every such step on one thread, each into memory of its own, and
// then pack the matrices into more memory. Here all threads compute them, once, where the session uses them,
// while ONNX Runtime optimizes the graph.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { OnnxModel } from "../graph/graph_builder.ts";
import { DTYPE_BYTES } from "../runtime/dtype.ts";
import { keepFreedMemory } from "../runtime/keep_freed_memory.ts";
import { ModelProtoSchema } from "../runtime/messages/onnx_pb.ts";
import type { Runtime, Session, Tensor } from "../runtime/mod.ts";
import { elementCount } from "../runtime/tensor.ts";
import { trimHeap } from "../runtime/trim_heap.ts";
import { OneAtATime } from "../runtime/turns.ts";
import { computedMatrices, type ComputedMatrix, matrixModel, replaceMatrices } from "./computed_matrices.ts";

/**
 * Weights in their files of the graphs that are loaded so, in bytes. Of smaller ones, such as Stable
 * Diffusion 1.5's, a picture's steps would lose more time to unpacked matrices than the load gains.
 */
export const COMPUTED_BYTES: number = 2 ** 31;
/** Matrices of a group, in bytes. Steps on the way to them and the files' pages are in memory meanwhile. */
const GROUP_BYTES = 512 * 2 ** 20;
/** Tensors begin at multiples of this, as vector instructions like. */
const ALIGNMENT = 64;
/** Groups of all graphs are computed one after the other, as each uses all threads. */
const TURNS = new OneAtATime();

/** Loads `model` on the CPU. @throws {OrtError} naming the graph. */
export async function loadComputed(runtime: Runtime, model: OnnxModel): Promise<Session> {
  return await loadWithMatrices(runtime, model) ?? await runtime.createSession(model);
}

/** Returns undefined if no matrix of float32 is to be computed: other types have no fast products. */
async function loadWithMatrices(runtime: Runtime, model: OnnxModel): Promise<Session | undefined> {
  const proto = fromBinary(ModelProtoSchema, model.bytes);
  const matrices = computedMatrices(proto.graph!, model.heldShapes);
  using owned = new DisposableStack();
  const groups: Group[] = [];
  for (const group of groupsOf(matrices)) {
    const { externalDataFolder, name } = model;
    const options = { externalDataFolder, name, graphOptimization: "disabled" } as const;
    const session = owned.use(await runtime.createSession(matrixModel(proto, group), options));
    if (session.outputs.some(({ dtype }) => dtype !== "float32")) return undefined;
    groups.push({ session, ...allocateOutputs(runtime, session, owned) });
  }
  if (groups.length === 0) return undefined;
  const initializers = Object.assign({}, ...groups.map(({ outputs }) => outputs));
  replaceMatrices(proto.graph!, matrices, initializers);
  const bytes = toBinary(ModelProtoSchema, proto);
  using _kept = keepFreedMemory();
  const loading = runtime.createSession({ ...model, bytes }, { initializers }).finally(trimHeap);
  const computing = TURNS.take(() => compute(runtime, groups));
  await Promise.allSettled([loading, computing]);
  using failed = new DisposableStack();
  const session = failed.use(await loading);
  await computing;
  failed.move();
  return session;
}

/** Matrices that one run computes. */
interface Group {
  session: Session;
  outputs: Readonly<Record<string, Tensor>>;
  /** The memory of all outputs. */
  memory: Tensor<"float32">;
}

async function compute(runtime: Runtime, groups: readonly Group[]): Promise<void> {
  for (const { session, outputs, memory } of groups) {
    await runtime.populate(memory);
    await session.run({}, { outputs });
    session[Symbol.dispose](); // which unmaps its part of the files
  }
}

function groupsOf(matrices: readonly ComputedMatrix[]): ComputedMatrix[][] {
  const groups: ComputedMatrix[][] = [];
  let size = Infinity;
  for (const matrix of matrices) {
    size += matrix.byteLength;
    if (size > GROUP_BYTES) {
      groups.push([]);
      size = matrix.byteLength;
    }
    groups.at(-1)!.push(matrix);
  }
  return groups;
}

/** Allocates the outputs of `session` side by side. `owned` gets their owners. */
function allocateOutputs(
  runtime: Runtime,
  session: Session,
  owned: DisposableStack,
): Pick<Group, "outputs" | "memory"> {
  const places: { name: string; dims: number[]; offset: number }[] = [];
  let end = 0;
  for (const { name, dims } of session.outputs) {
    const sizes = dims.map(Number);
    places.push({ name, dims: sizes, offset: end });
    const byteLength = DTYPE_BYTES.float32 * elementCount(sizes);
    end += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
  }
  const memory = owned.use(runtime.allocateWeights(end / DTYPE_BYTES.float32));
  const outputs = Object.fromEntries(
    places.map(({ name, dims, offset }) => [name, owned.use(memory.view(offset, dims))]),
  );
  return { outputs, memory };
}
