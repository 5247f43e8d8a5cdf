// Replaces nodes of a model by other nodes that compute the same.
import { create } from "@bufbuild/protobuf";
import { attribute, type AttributeValue } from "../attribute.ts";
import { type DType, ONNX_DATA_TYPE } from "../dtype.ts";
import { type GraphProto, type NodeProto, NodeProtoSchema, TensorProtoSchema } from "../messages/onnx_pb.ts";

export interface EmitOptions {
  attributes?: Record<string, AttributeValue>;
  /** Name of the result. @default a new name */
  as?: string;
}

/** Emits the nodes that replace one node. */
export class NodeEmitter {
  readonly nodes: NodeProto[] = [];
  readonly #graph: GraphProto;
  readonly #prefix: string;
  #count = 0;

  constructor(graph: GraphProto, prefix: string) {
    this.#graph = graph;
    this.#prefix = prefix;
  }

  /** Emits a node and returns the name of its output. */
  node(
    op: string,
    inputs: readonly string[],
    { attributes = {}, as = this.#name() }: EmitOptions = {},
  ): string {
    this.nodes.push(create(NodeProtoSchema, {
      opType: op,
      name: as,
      input: [...inputs],
      output: [as],
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    }));
    return as;
  }

  /** Converts to `dtype`. */
  cast(input: string, dtype: DType, options: Pick<EmitOptions, "as"> = {}): string {
    return this.node("Cast", [input], { attributes: { to: ONNX_DATA_TYPE[dtype] }, ...options });
  }

  /** Adds a float32 constant of rank 0. */
  float(value: number): string {
    return this.#constant("float32", [], new Uint8Array(Float32Array.of(value).buffer));
  }

  /** Adds an int64 vector. */
  ints(...values: number[]): string {
    return this.#constant(
      "int64",
      [values.length],
      new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
    );
  }

  #constant(dtype: DType, dims: number[], rawData: Uint8Array): string {
    const name = this.#name();
    this.#graph.initializer.push(
      create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: ONNX_DATA_TYPE[dtype], rawData }),
    );
    return name;
  }

  #name(): string {
    return `${this.#prefix}/rewritten_${this.#count++}`;
  }
}

/**
 * Replaces every node that `rewrite` handles.
 * @param rewrite emits the replacement and returns true; its last node must have the
 * name of the node's output
 */
export function rewriteNodes(
  graph: GraphProto,
  rewrite: (node: NodeProto, emitter: NodeEmitter) => boolean,
): void {
  graph.node = graph.node.flatMap((node) => {
    const emitter = new NodeEmitter(graph, node.output[0]!);
    return rewrite(node, emitter) ? emitter.nodes : [node];
  });
}
