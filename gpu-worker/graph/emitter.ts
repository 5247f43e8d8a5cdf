import type { AttributeValue } from "../runtime/attribute.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Value } from "./value.ts";

/** The part of a graph's builder that emits nodes and constants. */
export interface Emitter {
  /** Emits a node with one output. An `undefined` input is an omitted optional one. */
  node(op: string, inputs: readonly (Value | undefined)[], options?: NodeOptions): Value;
  /** Emits a node with several outputs. */
  nodes(
    op: string,
    inputs: readonly (Value | undefined)[],
    options: NodeOptions & { outputs: number },
  ): Value[];
  /** Converts `value` to `dtype`, by default the compute type. Emits nothing if it has that type. */
  cast(value: Value, dtype?: DType): Value;
  /** Emits an int64 vector, for shapes, axes and indices. */
  ints(...data: number[]): Value;
  /** Emits a rank-0 constant, by default of the compute type. */
  scalar(value: number, dtype?: DType): Value;
}

export interface NodeOptions {
  /** @default "" (ai.onnx) */
  domain?: "" | "com.microsoft";
  attributes?: Record<string, AttributeValue>;
  /** Element type of the outputs. @default the first input's */
  dtype?: DType;
}
