// Whether ONNX Runtime's CUDA provider has a kernel for each node of a graph, by its published table.
import { fromBinary } from "@bufbuild/protobuf";
import { type DType, ONNX_DATA_TYPE } from "../../../../gpu-worker/runtime/dtype.ts";
import { ModelProtoSchema, type NodeProto } from "../../../../gpu-worker/runtime/messages/onnx_pb.ts";

interface Kernel {
  /** Versions of the operator's schema; null is open-ended. */
  from: number;
  to: number | null;
  types: readonly DType[];
}

const TABLE: {
  /** The version of ONNX Runtime that the table was checked against; `version` says how. */
  onnxruntime: string;
  /** Operator -> versions in which its schema changed, newest first. */
  schemas: Readonly<Record<string, readonly number[]>>;
  /** Domain -> operator -> kernels, by the type of the data. */
  kernels: Readonly<Record<string, Readonly<Record<string, readonly Kernel[]>>>>;
} = JSON.parse(Deno.readTextFileSync(new URL("cuda_kernels.json", import.meta.url)));

/** The version of ONNX Runtime that the table was checked against. */
export const TABLE_VERSION = TABLE.onnxruntime;

/**
 * Finds nodes without a CUDA kernel for their type and the model's opset. ONNX Runtime runs them on the CPU,
 * without a word. Nodes on constants are left out, as they are folded at load.
 * @returns "Op(type)" of each kind of node
 */
export function withoutCudaKernel(bytes: Uint8Array): string[] {
  const { graph, opsetImport } = fromBinary(ModelProtoSchema, bytes);
  const opset = Number(opsetImport.find(({ domain }) => domain === "")!.version);
  const types = new Map<string, DType>();
  const constants = new Set<string>();
  const typeOf = (code: number) =>
    (Object.keys(ONNX_DATA_TYPE) as DType[]).find((dtype) => ONNX_DATA_TYPE[dtype] === code)!;
  for (const { name, type } of graph!.input) {
    if (type?.value.case === "tensorType") types.set(name, typeOf(type.value.value.elemType));
  }
  for (const { name, dataType } of graph!.initializer) {
    types.set(name, typeOf(dataType));
    constants.add(name);
  }
  const missing = new Set<string>();
  for (const node of graph!.node) {
    const inputs = node.input.filter((name) => name !== "");
    const type = types.get(node.opType === "Where" ? inputs[1]! : inputs[0]!)!;
    for (const name of node.output) types.set(name, outputType(node, type, typeOf));
    if (inputs.every((name) => constants.has(name))) {
      for (const name of node.output) constants.add(name);
    } else if (!hasKernel(node, { type, opset })) {
      missing.add(`${node.opType}(${type})`);
    }
  }
  return [...missing].sort();
}

/** Returns whether a graph adds numbers to scores of attention, which keeps CUDA from its flash kernel. */
export function addsToScores(bytes: Uint8Array): boolean {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  return graph!.node.some(({ opType, input }) => opType === "MultiHeadAttention" && Boolean(input[5]));
}

function outputType(
  { opType, attribute }: NodeProto,
  type: DType,
  typeOf: (code: number) => DType,
): DType {
  if (opType === "Cast") return typeOf(Number(attribute.find(({ name }) => name === "to")!.i));
  if (opType === "Shape" || opType === "ArgMax") return "int64";
  if (opType === "Equal" || opType === "GreaterOrEqual" || opType === "And") return "bool";
  // The shape is int64, the result float32 unless the attribute `value` says otherwise.
  if (opType === "ConstantOfShape") return "float32";
  return type;
}

/** Like ONNX Runtime's KernelRegistry, which refuses an open-ended kernel for a newer schema. */
function hasKernel(
  { opType, domain }: NodeProto,
  { type, opset }: { type: DType; opset: number },
): boolean {
  const since = domain === "" ? TABLE.schemas[opType]?.find((version) => version <= opset) : 1;
  const kernels = TABLE.kernels[domain]?.[opType] ?? [];
  return kernels.some(({ from, to, types }) =>
    types.includes(type) && (from === since || to !== null && from < since! && since! <= to)
  );
}
