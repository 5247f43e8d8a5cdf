// Loads a large graph on the CPU whose matrices are not stored as they are computed with: in another type,
// or without a LoRA. ONNX Runtime would fold every such step on one thread, each into memory of its own, and
// then pack the matrices into more memory. Here all threads compute them, once, where the session uses them,
// while ONNX Runtime optimizes the graph.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { OnnxModel } from "../graph/graph_builder.ts";
import { DTYPE_BYTES, ONNX_DATA_TYPE } from "../runtime/dtype.ts";
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "../runtime/messages/onnx_pb.ts";
import { keepFreedMemory } from "../runtime/keep_freed_memory.ts";
import type { Runtime, Session, Tensor } from "../runtime/mod.ts";
import { trimHeap } from "../runtime/trim_heap.ts";
import { OneAtATime } from "../runtime/turns.ts";

/**
 * Weights in their files of the graphs that are loaded so, in bytes. Of smaller ones, such as Stable
 * Diffusion 1.5's, a picture's steps would lose more time to unpacked matrices than the load gains.
 */
export const COMPUTED_BYTES: number = 2 ** 31;
/** Matrices of a group, in bytes. Steps on the way to them and the files' pages are in memory meanwhile. */
const GROUP_BYTES = 512 * 2 ** 20;
/** Tensors begin at multiples of this, as vector instructions like. */
const ALIGNMENT = 64;
/** Nodes that use a matrix where it lies. Convolutions change the layout of theirs while they are loaded. */
const PRODUCTS = ["FusedMatMul", "MatMul"];
/** Nodes that compute with whole numbers, and need their matrices packed. */
const WHOLE_PRODUCTS = ["MatMulNBits", "MatMulIntegerToFloat"];
/**
 * A place behind the end of every file. A session takes the values that it is given, but its model must name
 * a place. Nothing may read them before they are computed, so a step that tried would fail here.
 */
const NOWHERE = 2 ** 50;

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
    const session = owned.use(await runtime.createSession(modelOf(proto, group), options));
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

/** A matrix that nodes compute from stored weights alone. */
interface ComputedMatrix {
  name: string;
  /** In the graph's order. */
  nodes: readonly NodeProto[];
  stored: readonly TensorProto[];
  /** Of the matrix. */
  byteLength: number;
}

/** Returns the matrices of products that depend on stored weights, but not on a run's inputs. */
function computedMatrices(
  { node: nodes, initializer, output }: GraphProto,
  heldShapes: OnnxModel["heldShapes"],
): ComputedMatrix[] {
  if (nodes.some(({ opType }) => WHOLE_PRODUCTS.includes(opType))) return [];
  const tensors = new Map(initializer.map((tensor) => [tensor.name, tensor]));
  const makers = new Map<string, NodeProto>();
  const used = new Set<string>();
  const refused = new Set(output.map(({ name }) => name));
  for (const node of nodes) {
    const { opType, input, output } = node;
    if (input.every((name) => tensors.has(name) || makers.has(name)) && input.length > 0) {
      for (const name of output) makers.set(name, node);
      continue;
    }
    for (const name of input) (PRODUCTS.includes(opType) ? used : refused).add(name);
  }
  return [...used].filter((name) => makers.has(name) && !refused.has(name)).flatMap((name) => {
    const needed = new Set<NodeProto | TensorProto>();
    const collect = (name: string) => {
      const source = makers.get(name) ?? tensors.get(name)!;
      if (needed.has(source)) return;
      needed.add(source);
      if ("opType" in source) source.input.forEach(collect);
    };
    collect(name);
    const stored = initializer.filter((tensor) => needed.has(tensor));
    const sizes = stored.filter(isExternal).map(({ name, dims }) => sizeOf(heldShapes.get(name) ?? dims));
    // LoRAs' factors are small beside the matrix that they change.
    const byteLength = DTYPE_BYTES.float32 * Math.max(0, ...sizes);
    return byteLength === 0
      ? []
      : [{ name, nodes: nodes.filter((node) => needed.has(node)), stored, byteLength }];
  });
}

function isExternal({ dataLocation }: TensorProto): boolean {
  return dataLocation === DataLocation.EXTERNAL;
}

function sizeOf(dims: readonly (number | bigint)[]): number {
  return dims.reduce<number>((product, n) => product * Number(n), 1);
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

/** Returns a model without inputs, whose outputs are the matrices. */
function modelOf({ irVersion, opsetImport }: ModelProto, matrices: readonly ComputedMatrix[]): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion,
    opsetImport,
    graph: {
      name: "weights",
      node: [...new Set(matrices.flatMap(({ nodes }) => nodes))],
      initializer: [...new Set(matrices.flatMap(({ stored }) => stored))],
      // ONNX Runtime finds their types and shapes.
      output: matrices.map(({ name }) => create(ValueInfoProtoSchema, { name })),
    },
  });
  return toBinary(ModelProtoSchema, model);
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
    const byteLength = DTYPE_BYTES.float32 * sizeOf(sizes);
    end += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
  }
  const memory = owned.use(runtime.allocateWeights(end / DTYPE_BYTES.float32));
  const outputs = Object.fromEntries(
    places.map(({ name, dims, offset }) => [name, owned.use(memory.view(offset, dims))]),
  );
  return { outputs, memory };
}

/** Declares the matrices as weights of `graph`, instead of the nodes that compute them. */
function replaceMatrices(
  graph: GraphProto,
  matrices: readonly ComputedMatrix[],
  values: Readonly<Record<string, Tensor>>,
): void {
  const names = new Set(matrices.map(({ name }) => name));
  const used = new Set(graph.output.map(({ name }) => name));
  graph.node = graph.node.toReversed().filter(({ input, output }) => {
    if (output.some((name) => names.has(name)) || !output.some((name) => used.has(name))) return false;
    for (const name of input) used.add(name);
    return true;
  }).reverse();
  graph.initializer = graph.initializer.filter(({ name }) => used.has(name));
  for (const { name, stored } of matrices) {
    const { dims, byteLength } = values[name]!;
    const location = stored.find(isExternal)!.externalData.find(({ key }) => key === "location")!;
    graph.initializer.push(create(TensorProtoSchema, {
      name,
      dims: dims.map(BigInt),
      dataType: ONNX_DATA_TYPE.float32,
      dataLocation: DataLocation.EXTERNAL,
      externalData: [
        location,
        { key: "offset", value: `${NOWHERE}` },
        { key: "length", value: `${byteLength}` },
      ].map(({ key, value }) => create(StringStringEntryProtoSchema, { key, value })),
    }));
  }
}
