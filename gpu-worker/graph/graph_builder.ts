// Builds an ONNX model whose large initializers stay in the checkpoint's safetensors files (external data by
// offset).
import { create, toBinary } from "@bufbuild/protobuf";
import { showValue } from "../../sampler/mod.ts";
import { type DType, ONNX_DATA_TYPE } from "../runtime/dtype.ts";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
} from "../runtime/messages/onnx_pb.ts";
import { valueInfoProto } from "../runtime/value_info_proto.ts";
import { arrayOf } from "./array_of.ts";
import { attribute } from "../runtime/attribute.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";
import { isBlockMatrix } from "../checkpoint/blocks/quantization_of.ts";
import type { Quantization, WeightEntry, Weights } from "../checkpoint/weights.ts";
import { ConvertedWeights, EXTERNAL_DATA_FOLDER, externalData } from "./converted_weights.ts";
import type { Emitter, NodeOptions } from "./emitter.ts";
import { storedWeight } from "./stored_weight.ts";
import type { Value } from "./value.ts";
import { type BlockMatrix, hasDora, weightChanges, type WeightSource } from "./weight_changes.ts";

const IR_VERSION = 10n;

export type { Value };

/** A dimension: a size, or the name of a size that each run chooses. */
export type Dim = number | string;

/** Weights that are converted before the graph is loaded (session/weight_store.ts). */
export interface Conversion extends Pick<ConvertedWeights, "tensors" | "byteLength"> {
  /** Returns the ModelProto that reads them from the file at `path`. */
  place(path: string): Uint8Array;
}

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
  /** Matrices that linear layers may hold in blocks. */
  readonly matrices: readonly string[];
  /** Weights that the graph holds in the type of their file. */
  readonly tables: readonly string[];
  /** Shapes of weights that the graph transforms at load, by name. */
  readonly heldShapes: ReadonlyMap<string, readonly number[]>;
  /** Weights that `bytes` cannot refer to before they are converted. @default none */
  readonly conversion?: Conversion;
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
  /**
   * Version of ai.onnx. Newer ones would move Sin, Cos and InstanceNormalization off the GPU: a CUDA kernel
   * registered for "7 and later" serves only the operator versions that existed at the time.
   * Pad has no CUDA kernel after 18. @default 21
   */
  opset?: 18 | 21;
  /** Compute type. Weights of another type are cast, which ONNX Runtime folds at load. */
  dtype: DType;
}

export class GraphBuilder implements Emitter {
  readonly name: string;
  readonly dtype: DType;
  readonly #opset: bigint;
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
  readonly #converted = new ConvertedWeights();
  readonly #matrices = new Set<string>();
  readonly #tables = new Set<string>();
  readonly #heldShapes = new Map<string, readonly number[]>();
  readonly #blockMatrices = new Map<string, BlockMatrix>();
  #scope = "";
  #count = 0;
  #weightBytes = 0;

  constructor({ name, weights, opset = 21, dtype }: GraphBuilderOptions) {
    this.#opset = BigInt(opset);
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

  /**
   * Names the sizes of a result that ONNX Runtime cannot infer, and returns it. Results with equal names
   * share buffers. Without names, each gets one of its own, and the plan of memory compares it with all
   * others.
   */
  sized(value: Value, dims: readonly Dim[]): Value {
    this.#graph.valueInfo.push(valueInfoProto(value.name, value.dtype, dims));
    return value;
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

  /** Returns whether a LoRA gives the layer `name` a bias that the network goes without. */
  hasAddedBias(name: string): boolean {
    return this.#weights.get(`${name}.bias`)?.order === "zeros";
  }

  /**
   * Returns the checkpoint's tensor `name` with its LoRA additions, in the compute type or in `dtype`.
   * "stored" keeps the file's type. Use it for a table of which few rows are read: a cast would be folded at
   * load and double its memory.
   * @throws {CheckpointError} if the tensor is missing or its shape is not `dims`.
   */
  weight(name: string, dims: readonly number[], dtype: DType | "stored" = this.dtype): Value {
    const entry = this.#entry(name, dims);
    const stored = this.#once(`weight ${name}`, () => storedWeight(this, this.#sourceOf(name, entry)));
    if (dtype === "stored") {
      this.#tables.add(name);
      // No kernel looks up rows of fp8. bfloat16 holds every such number.
      return stored.dtype.startsWith("float8") ? this.cast(stored, "bfloat16") : stored;
    }
    return this.#once(`weight ${name} as ${dtype}`, () => this.cast(stored, dtype));
  }

  /** Notes that a weight is held in another shape, for predictions of memory. */
  noteHeldShape(name: string, dims: readonly number[]): void {
    this.#heldShapes.set(name, dims);
  }

  /**
   * Returns the checkpoint's matrix `name` in blocks, or undefined if it is held as the file stores it.
   * @throws {CheckpointError} as `weight`.
   */
  blockMatrix(name: string, dims: readonly [rows: number, columns: number]): BlockMatrix | undefined {
    const entry = this.#entry(name, dims);
    this.#matrices.add(name);
    const { quantization } = entry;
    if (quantization === undefined || !isBlockMatrix(entry, quantization) || hasDora(entry)) return undefined;
    return this.#blockMatrices.get(name) ?? this.#addBlockMatrix(name, entry, quantization);
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
    const matrices = [...this.#matrices];
    const model = create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "spectrum-edge",
      opsetImport: [{ domain: "", version: this.#opset }, { domain: "com.microsoft", version: 1n }],
      graph: this.#graph,
    });
    const place = (path: string) => {
      this.#converted.place(path);
      return toBinary(ModelProtoSchema, model);
    };
    const { tensors, byteLength } = this.#converted;
    return {
      name: this.name,
      bytes: place("/weights that are not converted yet"),
      ...tensors.length > 0 && { conversion: { tensors, byteLength, place } },
      matrices,
      tables: [...this.#tables],
      heldShapes: this.#heldShapes,
      externalDataFolder: EXTERNAL_DATA_FOLDER,
      weightBytes: this.#weightBytes + byteLength,
      inputNames: this.#graph.input.map(({ name }) => name),
    };
  }

  #entry(name: string, dims: readonly number[]): WeightEntry {
    this.usedWeights.add(name);
    const entry = this.#weights.get(name);
    if (entry === undefined) {
      throw new CheckpointError(
        `Cannot build ${this.name} as the checkpoint has no tensor '${name}' ([${dims}] is expected)`,
      );
    }
    if (entry.shape.length !== dims.length || entry.shape.some((n, i) => n !== dims[i])) {
      throw new CheckpointError(
        `Cannot build ${this.name} as '${name}' must have the shape [${dims}] by the config: ` +
          `the checkpoint's is [${showValue(entry.shape.join())}]`,
      );
    }
    return entry;
  }

  #external(name: string, entry: WeightEntry): Value {
    if (entry.blocks !== undefined) {
      return this.#initializer(this.#converted.addFloats(name, entry), "float32");
    }
    this.#weightBytes += entry.byteLength;
    const tensor = create(TensorProtoSchema, {
      name,
      dims: entry.shape.map(BigInt),
      dataType: ONNX_DATA_TYPE[entry.dtype],
      dataLocation: DataLocation.EXTERNAL,
      externalData: externalData(entry),
    });
    return this.#initializer(tensor, entry.dtype);
  }

  #addBlockMatrix(name: string, entry: WeightEntry, quantization: Quantization): BlockMatrix {
    const { data, scales } = this.#converted.addBlocks(name, entry, quantization);
    const matrix = {
      data: this.#initializer(data, "uint8"),
      scales: this.#initializer(scales, "float32"),
      quantization,
      changes: weightChanges(this, this.#sourceOf(name, entry)),
    };
    this.#blockMatrices.set(name, matrix);
    return matrix;
  }

  #sourceOf(name: string, entry: WeightEntry): WeightSource {
    return { name, entry, external: (name, entry) => this.#external(name, entry) };
  }

  #initializer(tensor: TensorProto, dtype: DType): Value {
    this.#graph.initializer.push(tensor);
    return { name: tensor.name, dtype };
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
