// Builds an ONNX model whose large initializers stay in the checkpoint's safetensors files (external data by offset).
import { create, toBinary } from "@bufbuild/protobuf";
import { relative } from "node:path";
import { showValue } from "../../sampler/mod.ts";
import { type DType, DTYPE_BYTES, ONNX_DATA_TYPE } from "../runtime/dtype.ts";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
} from "../runtime/messages/onnx_pb.ts";
import { valueInfoProto } from "../runtime/value_info_proto.ts";
import { attribute, type AttributeValue } from "./attribute.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";
import type { WeightEntry, Weights } from "../checkpoint/weights.ts";

/**
 * Opset 21. Newer opsets would move Sin, Cos and InstanceNormalization off the GPU. A CUDA kernel registered
 * for "7 and later" serves only the operator versions that existed at the time.
 */
const OPSET = 21n;
const IR_VERSION = 10n;
/** One folder for all graphs, so that one session can read shards behind symlinks in other folders. */
const EXTERNAL_DATA_FOLDER = "/";

/** A tensor inside the graph. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
}

/** A dimension: a size, or the name of a size that each run chooses. */
export type Dim = number | string;

/** A model for `Runtime.createSession`. */
export interface OnnxModel {
  readonly name: string;
  /** Serialized ModelProto, without the weights. */
  readonly bytes: Uint8Array;
  /** Folder that external data locations are relative to. */
  readonly externalDataFolder: string;
  /** Size of the weights in their files, in bytes. */
  readonly weightBytes: number;
  /** Names of the graph's inputs. */
  readonly inputNames: readonly string[];
  /**
   * Whether ONNX Runtime plans one memory block for shapes that it has seen. Picture autoencoders switch this
   * off, as the block is allocated in addition to the first run's arena. @default true
   */
  readonly memPattern?: boolean;
}

export interface GraphBuilderOptions {
  /** Name of the graph, shown in profiles and errors. */
  name: string;
  /** Tensors of the component, for `weight()`. */
  weights: Weights;
  /** Compute type. Weights of another type are cast, which ONNX Runtime folds at load. */
  dtype: DType;
}

export interface NodeOptions {
  /** @default "" (ai.onnx) */
  domain?: "" | "com.microsoft";
  attributes?: Record<string, AttributeValue>;
  /** Element type of the outputs. @default the first input's */
  dtype?: DType;
}

export class GraphBuilder {
  readonly name: string;
  readonly dtype: DType;
  /**
   * Names that were passed to `weight()`. Other tensors of the checkpoint are unknown to the architecture.
   */
  readonly usedWeights: Set<string> = new Set();
  readonly #weights: Weights;
  readonly #graph = create(GraphProtoSchema);
  readonly #cache = new Map<string, Value>();
  /** Name of a value -> its name as a graph output. */
  readonly #outputs = new Map<string, string>();
  readonly #nodeOutputs = new Set<string>();
  #scope = "";
  #count = 0;
  #weightBytes = 0;

  constructor({ name, weights, dtype }: GraphBuilderOptions) {
    this.name = this.#graph.name = name;
    this.#weights = weights;
    this.dtype = dtype;
  }

  /** Declares a graph input. @param dtype defaults to the compute type */
  input(name: string, dims: readonly Dim[], dtype: DType = this.dtype): Value {
    this.#graph.input.push(valueInfoProto(name, dtype, dims));
    return { name, dtype };
  }

  /** Declares `value` as the graph output `name`. */
  output(name: string, value: Value, dims: readonly Dim[]): void {
    // Only a node's output can get the name, and only once. Other values are copied.
    const direct = this.#nodeOutputs.has(value.name) && !this.#outputs.has(value.name);
    this.#outputs.set(direct ? value.name : this.node("Identity", [value]).name, name);
    this.#graph.output.push(valueInfoProto(name, value.dtype, dims));
  }

  /** Runs `emit` with `prefix` in front of its nodes' names, so that profiles use the checkpoint's names. */
  scope<T>(prefix: string, emit: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${prefix}/`;
    try {
      return emit();
    } finally {
      this.#scope = outer;
    }
  }

  /** Emits a node with one output. An `undefined` input is an omitted optional one. */
  node(op: string, inputs: readonly (Value | undefined)[], options: NodeOptions = {}): Value {
    return this.nodes(op, inputs, { ...options, outputs: 1 })[0]!;
  }

  /** Emits a node with several outputs. */
  nodes(
    op: string,
    inputs: readonly (Value | undefined)[],
    options: NodeOptions & { outputs: number },
  ): Value[] {
    const dtype = options.dtype ?? inputs[0]?.dtype ?? this.dtype;
    const base = `${this.#scope}${op}_${this.#count++}`;
    const values = Array.from(
      { length: options.outputs },
      (_, i) => ({ name: i ? `${base}:${i}` : base, dtype }),
    );
    this.#push(op, inputs.map((v) => v?.name ?? ""), values.map((v) => v.name), options);
    return values;
  }

  /** Converts `value` to `dtype`. Emits nothing if it has that type. */
  cast(value: Value, dtype: DType = this.dtype): Value {
    if (value.dtype === dtype) return value;
    return this.node("Cast", [value], { dtype, attributes: { to: ONNX_DATA_TYPE[dtype] } });
  }

  /** Emits a small constant, which is stored in the model. */
  constant(
    data: readonly number[],
    dims: readonly number[] = [data.length],
    dtype: DType = this.dtype,
  ): Value {
    const key = `constant ${dtype} [${dims}] ${data}`;
    if (dtype === "bfloat16" || dtype === "float16") {
      return this.#once(key, () => this.cast(this.constant(data, dims, "float32"), dtype));
    }
    return this.#once(key, () => {
      const name = `constant_${this.#cache.size}`;
      const rawData = new Uint8Array(arrayOf(dtype, data).buffer);
      const dataType = ONNX_DATA_TYPE[dtype];
      this.#graph.initializer.push(
        create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType, rawData }),
      );
      return { name, dtype };
    });
  }

  /** Emits an int64 vector, for shapes, axes and indices. */
  ints(...data: number[]): Value {
    return this.constant(data, [data.length], "int64");
  }

  /** Emits a rank-0 constant. */
  scalar(value: number, dtype: DType = this.dtype): Value {
    return this.constant([value], [], dtype);
  }

  /** Returns whether the checkpoint has a tensor of that name. */
  has(name: string): boolean {
    return this.#weights.has(name);
  }

  /**
   * Returns the checkpoint's tensor `name` with its LoRA additions, in the compute type or in `dtype`.
   * "stored" keeps the file's type. Use it for a table of which few rows are read: a cast would be folded at
   * load and double its memory.
   * @throws {CheckpointError} if the tensor is missing or its shape is not `dims`.
   */
  weight(name: string, dims: readonly number[], dtype: DType | "stored" = this.dtype): Value {
    this.usedWeights.add(name);
    const entry = this.#weights.get(name);
    if (entry === undefined) {
      throw new CheckpointError(
        `Cannot build ${this.name} as the checkpoint has no tensor '${name}' ([${dims}] is expected)`,
      );
    }
    if (entry.shape.length !== dims.length || entry.shape.some((n, i) => n !== dims[i])) {
      throw new CheckpointError(
        `Cannot build ${this.name} as '${name}' must have the shape [${dims}] by the config: the checkpoint's is [${
          showValue(entry.shape.join())
        }]`,
      );
    }
    const stored = this.#once(`weight ${name}`, () => this.#added(name, entry));
    if (dtype === "stored") return stored;
    return this.#once(`weight ${name} as ${dtype}`, () => this.cast(stored, dtype));
  }

  /**
   * Checks that every tensor was used, for a graph that needs the whole checkpoint. An unused tensor means an
   * unknown architecture.
   * @throws {CheckpointError} naming an unused tensor.
   */
  refuseUnusedWeights(): void {
    const unused = [...this.#weights.keys()].filter((name) => !this.usedWeights.has(name));
    if (unused.length > 0) {
      throw new CheckpointError(
        `Cannot build ${this.name} as the checkpoint holds tensors that its config leaves no place for: '${
          showValue(unused[0])
        }'${unused.length > 1 ? ` and ${unused.length - 1} more` : ""}`,
      );
    }
  }

  /** Serializes the graph. */
  build(): OnnxModel {
    const rename = (name: string) => this.#outputs.get(name) ?? name;
    for (const node of this.#graph.node) {
      node.input = node.input.map(rename);
      node.output = node.output.map(rename);
    }
    const model = create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "spectrum-edge",
      opsetImport: [{ domain: "", version: OPSET }, { domain: "com.microsoft", version: 1n }],
      graph: this.#graph,
    });
    const bytes = toBinary(ModelProtoSchema, model);
    return {
      name: this.name,
      bytes,
      externalDataFolder: EXTERNAL_DATA_FOLDER,
      weightBytes: this.#weightBytes,
      inputNames: this.#graph.input.map(({ name }) => name),
    };
  }

  /**
   * Emits W + sum of scale * B A in float32, whatever the types. All are constants,
   * which ONNX Runtime folds at load. As in peft, DoRA adds m / |W + scale * B A| * (W + scale * B A) - W.
   */
  #added(name: string, { additions = [], ...entry }: WeightEntry): Value {
    const weight = this.#ordered(name, entry);
    if (additions.length === 0) return weight;
    const matrix = (value: Value, rows: number) =>
      this.node("Reshape", [this.cast(value, "float32"), this.ints(rows, -1)]);
    const rows = entry.shape[0]!;
    const order = Array.from({ length: rows }, (_, row) => (row + (rows >> 1)) % rows);
    const base = matrix(weight, rows);
    const sum = additions.reduce((sum, { scale, swapped, ...change }, i) => {
      const ours = (part: WeightEntry, label: string) => {
        const value = matrix(this.#external(`${name} + ${label} ${i}`, part), rows);
        return swapped === true ? this.node("Gather", [value, this.ints(...order)]) : value;
      };
      if ("whole" in change) {
        const scaled = this.node("Mul", [ours(change.whole, "diff"), this.scalar(scale, "float32")]);
        return this.node("Add", [sum, scaled]);
      }
      const a = matrix(this.#external(`${name} + lora_A ${i}`, change.down), change.down.shape[0]!);
      const add = (to: Value) =>
        this.node("Gemm", [ours(change.up, "lora_B"), a, to], { attributes: { alpha: { float: scale } } });
      if (change.magnitude === undefined) return add(sum);
      const moved = add(base);
      const length = this.node("ReduceL2", [moved, this.ints(1)]);
      const ratio = this.node("Div", [ours(change.magnitude, "magnitude"), length]);
      return this.node("Sub", [this.node("Add", [sum, this.node("Mul", [moved, ratio])]), base]);
    }, base);
    return this.node("Reshape", [sum, this.ints(...entry.shape)]);
  }

  /** Emits the tensor in diffusers' order. ONNX Runtime folds the reordering at load. */
  #ordered(name: string, entry: WeightEntry): Value {
    const { order, shape } = entry;
    if (order === undefined) return this.#external(name, entry);
    const [rows = 0, columns = 0] = shape;
    if (order === "identity") {
      const zeros = this.node("ConstantOfShape", [this.ints(rows, columns)], { dtype: "float32" });
      return this.node("EyeLike", [zeros]);
    }
    if (order === "transposed") {
      const stored = this.#external(name, { ...entry, shape: [columns, rows] });
      return this.node("Transpose", [stored], { attributes: { perm: [1, 0] } });
    }
    const stored = this.#external(name, entry);
    const halves = this.nodes("Split", [stored], {
      outputs: 2,
      attributes: { axis: 0, num_outputs: 2 },
    });
    return this.node("Concat", halves.reverse(), { attributes: { axis: 0 } });
  }

  #external(name: string, entry: WeightEntry): Value {
    this.#weightBytes += entry.byteLength;
    const location = relative(EXTERNAL_DATA_FOLDER, entry.path);
    const fields = { location, offset: entry.offset, length: entry.byteLength };
    this.#graph.initializer.push(
      create(TensorProtoSchema, {
        name,
        dims: entry.shape.map(BigInt),
        dataType: ONNX_DATA_TYPE[entry.dtype],
        dataLocation: DataLocation.EXTERNAL,
        externalData: Object.entries(fields).map(([key, value]) => ({ key, value: String(value) })),
      }),
    );
    return { name, dtype: entry.dtype };
  }

  #push(op: string, input: string[], output: string[], { domain = "", attributes = {} }: NodeOptions): void {
    for (const name of output) this.#nodeOutputs.add(name);
    this.#graph.node.push(
      create(NodeProtoSchema, {
        opType: op,
        name: output[0]!,
        domain,
        input,
        output,
        attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      }),
    );
  }

  #once(key: string, make: () => Value): Value {
    let value = this.#cache.get(key);
    if (value === undefined) this.#cache.set(key, value = make());
    return value;
  }
}

function arrayOf(dtype: DType, data: readonly number[]) {
  switch (dtype) {
    case "float32":
      return Float32Array.from(data);
    case "float64":
      return Float64Array.from(data);
    case "int64":
      return BigInt64Array.from(data, BigInt);
    case "int32":
      return Int32Array.from(data);
    default:
      throw new TypeError(`Cannot make a constant of ${dtype} (${DTYPE_BYTES[dtype]} bytes) in a graph`);
  }
}
