// The weights of one graph that are rewritten before ONNX Runtime can use them. They go into one file, whose
// layout is known as soon as the graph is; session/weight_store.ts writes the file when the graph is loaded.
import { create } from "@bufbuild/protobuf";
import { relative } from "node:path";
import type { ConvertedTensor } from "../checkpoint/blocks/converted_tensor.ts";
import { rowsOf } from "../checkpoint/blocks/read_rows.ts";
import type { Quantization, WeightEntry } from "../checkpoint/weights.ts";
import { DTYPE_BYTES, ONNX_DATA_TYPE } from "../runtime/dtype.ts";
import {
  type StringStringEntryProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
} from "../runtime/messages/onnx_pb.ts";

/** One folder for all graphs, so that one session can read shards behind symlinks in other folders. */
export const EXTERNAL_DATA_FOLDER = "/";

/** Tensors begin at multiples of this, as vector instructions like. */
const ALIGNMENT = 64;

/** Bytes in a file. */
export interface Extent {
  readonly path: string;
  readonly offset: number;
  readonly byteLength: number;
}

export class ConvertedWeights {
  readonly tensors: ConvertedTensor[] = [];
  readonly #initializers: { tensor: TensorProto; offset: number; byteLength: number }[] = [];
  #end = 0;

  /** Size of the file. */
  get byteLength(): number {
    return this.#end;
  }

  /** Adds a tensor as float32, in the file's order and without its scale. Returns its initializer. */
  addFloats(name: string, { order: _order, scale: _scale, ...source }: WeightEntry): TensorProto {
    const { rows, columns } = rowsOf(source);
    const byteLength = rows * columns * DTYPE_BYTES.float32;
    const offset = this.#reserve(byteLength);
    this.tensors.push({ source, offset, byteLength });
    return this.#initializer({ name, dims: source.shape, offset, byteLength, dtype: "float32" });
  }

  /** Adds a matrix in blocks. Returns the initializers of its numbers and scales. */
  addBlocks(
    name: string,
    source: WeightEntry,
    quantization: Quantization,
  ): { data: TensorProto; scales: TensorProto } {
    const { rows, columns } = rowsOf(source);
    const { bits, blockSize, wholeRows } = quantization;
    const blocks = columns / blockSize;
    const byteLength = rows * columns * bits / 8;
    const offset = this.#reserve(byteLength);
    const scalesBytes = rows * blocks * DTYPE_BYTES.float32;
    const scalesOffset = this.#reserve(scalesBytes);
    this.tensors.push({ source, quantization, offset, byteLength, scalesOffset });
    return {
      data: this.#initializer({
        name: `${name} in ${bits} bits`,
        dims: wholeRows ? [columns, rows] : [rows, blocks, blockSize * bits / 8],
        offset,
        byteLength,
        dtype: "uint8",
      }),
      scales: this.#initializer({
        name: `${name} scales`,
        dims: wholeRows ? [rows] : [rows, blocks],
        offset: scalesOffset,
        byteLength: scalesBytes,
        dtype: "float32",
      }),
    };
  }

  /** Makes every initializer refer to the file at `path`, which need not exist yet. */
  place(path: string): void {
    for (const { tensor, offset, byteLength } of this.#initializers) {
      tensor.externalData = externalData({ path, offset, byteLength });
    }
  }

  #reserve(byteLength: number): number {
    const offset = Math.ceil(this.#end / ALIGNMENT) * ALIGNMENT;
    this.#end = offset + byteLength;
    return offset;
  }

  #initializer({ name, dims, offset, byteLength, dtype }: {
    name: string;
    dims: readonly number[];
    offset: number;
    byteLength: number;
    dtype: "float32" | "uint8";
  }): TensorProto {
    const tensor = create(TensorProtoSchema, {
      name,
      dims: dims.map(BigInt),
      dataType: ONNX_DATA_TYPE[dtype],
      dataLocation: DataLocation.EXTERNAL,
    });
    this.#initializers.push({ tensor, offset, byteLength });
    return tensor;
  }
}

/** Returns the entries by which an initializer refers to a file's bytes. */
export function externalData({ path, offset, byteLength }: Extent): StringStringEntryProto[] {
  const fields = { location: relative(EXTERNAL_DATA_FOLDER, path), offset, length: byteLength };
  return Object.entries(fields).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value: String(value) })
  );
}
