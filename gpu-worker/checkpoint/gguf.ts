// Reads the header of a GGUF file, version 2 or 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
// The data stays on disk. Every count, length and offset is checked before it is used.
import { showValue } from "../../sampler/mod.ts";
import { type DType, DTYPE_BYTES } from "../runtime/dtype.ts";
import { BLOCK_TYPES, type GgufBlockType } from "./block_types.ts";
import { HeaderReader } from "./header_reader.ts";
import type { WeightEntry } from "./weight_entry.ts";

export const GGUF_MAGIC = "GGUF";
/** Limits of a header. The largest have some 2,000 tensors, and vocabularies of 300,000 words. */
const MAX_TENSORS = 100_000;
const MAX_FIELDS = 100_000;
const MAX_NAME_BYTES = 1000;
const MAX_TEXT_BYTES = 65_535;
/** ggml itself has four. Files of Wan and HunyuanVideo hold convolutions of videos, which gguf-py writes. */
const MAX_RANK = 8;
const MAX_SHAPE = 8;
const MAX_ALIGNMENT = 65_536;
const MAX_DEPTH = 4;

/** ggml's number of a type -> the type. */
const TYPES: Readonly<Record<number, DType | GgufBlockType>> = {
  0: "float32",
  1: "float16",
  2: "Q4_0",
  3: "Q4_1",
  6: "Q5_0",
  7: "Q5_1",
  8: "Q8_0",
  10: "Q2_K",
  11: "Q3_K",
  12: "Q4_K",
  13: "Q5_K",
  14: "Q6_K",
  24: "int8",
  26: "int32",
  27: "int64",
  28: "float64",
  30: "bfloat16",
};

/** Names of types that are refused. */
const OTHER_TYPES: Readonly<Record<number, string>> = {
  9: "Q8_1",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
  40: "NVFP4",
};

/** Bytes of a scalar field by its number. 8 is a string, 9 an array. */
const SCALAR_BYTES: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const [UINT32, INT32, STRING, ARRAY] = [4, 5, 8, 9];

/** Keeps the shape of a tensor that was written in another one, as its own has no rows of whole blocks. */
const SHAPE_KEY = "comfy.gguf.orig_shape.";
const ALIGNMENT_KEY = "general.alignment";

export interface GgufFile {
  /** `general.architecture`, such as "flux" or "t5encoder". */
  architecture: string | undefined;
  tensors: Map<string, WeightEntry>;
}

/**
 * Reads the header of a GGUF file: its metadata and its tensors' places.
 * @throws {CheckpointError} if the file is truncated, its header breaks the format, or
 * a type is not supported.
 */
export function readGguf(path: string): GgufFile {
  using header = HeaderReader.open(path);
  header.skip(GGUF_MAGIC.length);
  const version = header.uint32();
  if (version !== 2 && version !== 3) {
    const why = version > 0 && version % 65_536 === 0
      ? "its bytes are in big-endian order"
      : "its version is";
    throw header.refuse(`it must be GGUF of version 2 or 3, but ${why} ${version}`);
  }
  const count = header.count("tensors", MAX_TENSORS);
  const fields = readFields(header, header.count("fields", MAX_FIELDS));
  const alignment = fields.numbers.get(ALIGNMENT_KEY)?.[0] ?? 32;
  if (alignment < 1 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) !== 0) {
    throw header.refuse(
      `'${ALIGNMENT_KEY}' must be a power of two up to ${MAX_ALIGNMENT}, but is ${alignment}`,
    );
  }
  const declared = new Map<string, Declared>();
  for (let i = 0; i < count; i++) {
    const name = header.text("a tensor's name", MAX_NAME_BYTES);
    if (declared.has(name)) throw header.refuse(`it holds '${showValue(name)}' twice`);
    declared.set(name, readTensor(header, name));
  }
  const start = Math.ceil(header.position / alignment) * alignment;
  const real = Deno.realPathSync(path);
  return {
    architecture: fields.texts.get("general.architecture"),
    tensors: new Map(
      [...declared].map(([name, tensor]) => {
        const shape = fields.numbers.get(SHAPE_KEY + name);
        const place = entry(header, { name, tensor, start, alignment, path: real, shape });
        return [name, { ...place, ...headsOf(name, { fields, entry: place }) }];
      }),
    ),
  };
}

/**
 * Rotary positions of LLaMA, whose halves of a head llama.cpp puts in turn. Other architectures keep theirs.
 */
const LLAMA_QUERY_OR_KEY = /^blk\.\d+\.attn_([qk])\.weight$/;
const HEADS = "llama.attention.head_count";
const KEY_HEADS = "llama.attention.head_count_kv";

function headsOf(
  name: string,
  { fields, entry: { shape: [rows = 0] } }: { fields: Fields; entry: WeightEntry },
): Pick<WeightEntry, "order" | "headRows"> {
  const [, kind] = LLAMA_QUERY_OR_KEY.exec(name) ?? [];
  const [heads = 0] = fields.numbers.get(HEADS) ?? [];
  const [keyHeads = heads] = fields.numbers.get(KEY_HEADS) ?? [];
  const headRows = rows / (kind === "k" ? keyHeads : heads);
  if (kind === undefined || !Number.isInteger(headRows / 2)) return {};
  return { order: "paired", headRows };
}

interface Declared {
  shape: number[];
  type: DType | GgufBlockType;
  /** Bytes after the beginning of the data. */
  offset: number;
}

function readTensor(header: HeaderReader, name: string): Declared {
  const rank = header.uint32();
  const refuse = (reason: string) => header.refuse(`'${showValue(name)}' ${reason}`);
  if (rank > MAX_RANK) throw refuse(`must have at most ${MAX_RANK} dimensions, but has ${rank}`);
  // The fastest dimension comes first.
  const shape = Array.from({ length: rank }, () => header.uint64()).reverse();
  const code = header.uint32();
  const type = TYPES[code];
  if (type === undefined) {
    const name = OTHER_TYPES[code] === undefined ? "" : `in ${OTHER_TYPES[code]}, `;
    throw refuse(
      `is ${name}of ggml's type ${code}, which is not supported: known are F32, F16, BF16, ` +
        "Q4_0 to Q8_0 and Q2_K to Q6_K",
    );
  }
  return { shape, type, offset: header.uint64() };
}

function entry(
  header: HeaderReader,
  { name, tensor, start, alignment, path, shape: original }: {
    name: string;
    tensor: Declared;
    start: number;
    alignment: number;
    path: string;
    shape: readonly number[] | undefined;
  },
): WeightEntry {
  const { type, offset } = tensor;
  const refuse = (reason: string) => header.refuse(`'${showValue(name)}' ${reason}`);
  const elements = product(tensor.shape);
  const isBlocks = type in BLOCK_TYPES;
  const layout = isBlocks
    ? BLOCK_TYPES[type as GgufBlockType]
    : { elements: 1, bytes: DTYPE_BYTES[type as DType] };
  const columns = tensor.shape.at(-1) ?? 1;
  if (columns % layout.elements !== 0) {
    throw refuse(
      `must have rows of a multiple of ${layout.elements} numbers, as ${type} has blocks, but has ${columns}`,
    );
  }
  const byteLength = elements / layout.elements * layout.bytes;
  if (!Number.isSafeInteger(byteLength)) {
    throw refuse(`has the shape [${tensor.shape}], which no file can hold`);
  }
  if (offset % alignment !== 0) {
    throw refuse(`must begin at a multiple of ${alignment}, but begins at ${offset}`);
  }
  if (start + offset + byteLength > header.size) {
    throw refuse(
      `ends at byte ${start + offset + byteLength} of a file of ${header.size}: truncated download?`,
    );
  }
  if (original !== undefined && product(original) !== elements) {
    throw refuse(`has [${tensor.shape}] numbers, but its original shape is [${original}]`);
  }
  return {
    path,
    dtype: isBlocks ? "float32" : type as DType,
    shape: original ?? tensor.shape,
    offset: start + offset,
    byteLength,
    ...isBlocks && { blocks: type as GgufBlockType },
  };
}

function product(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

const NUMBERS: readonly string[] = [ALIGNMENT_KEY, HEADS, KEY_HEADS];

interface Fields {
  texts: Map<string, string>;
  /** Numbers and lists of numbers, of the few fields that we read. */
  numbers: Map<string, number[]>;
}

function readFields(header: HeaderReader, count: number): Fields {
  const fields: Fields = { texts: new Map(), numbers: new Map() };
  for (let i = 0; i < count; i++) {
    const key = header.text("a field's name", MAX_TEXT_BYTES);
    const type = header.uint32();
    if (key === ALIGNMENT_KEY ? type !== UINT32 : key === "general.architecture" && type !== STRING) {
      throw header.refuse(`'${key}' is of the wrong type ${type}`);
    }
    if (type === STRING && key.startsWith("general.")) {
      fields.texts.set(key, header.text(`'${showValue(key)}'`, 2 ** 24));
    } else if (type === UINT32 && NUMBERS.includes(key)) {
      fields.numbers.set(key, [header.uint32()]);
    } else if (type === ARRAY && key.startsWith(SHAPE_KEY)) {
      fields.numbers.set(key, readShape(header, key));
    } else {
      skipValue(header, type, 0);
    }
  }
  return fields;
}

function readShape(header: HeaderReader, key: string): number[] {
  const type = header.uint32();
  if (type !== UINT32 && type !== INT32) throw header.refuse(`'${showValue(key)}' must be whole numbers`);
  return Array.from({ length: header.count("dimensions", MAX_SHAPE) }, () => header.uint32());
}

function skipValue(header: HeaderReader, type: number, depth: number): void {
  const bytes = SCALAR_BYTES[type];
  if (bytes !== undefined) return header.skip(bytes);
  if (type === STRING) return header.skip(header.uint64());
  if (type !== ARRAY || depth >= MAX_DEPTH) throw header.refuse(`a field is of the unknown type ${type}`);
  const inner = header.uint32();
  const count = header.uint64();
  const each = SCALAR_BYTES[inner];
  if (each !== undefined) return header.skip(count * each);
  // Every element takes bytes of the header, which ends this loop.
  for (let i = 0; i < count; i++) skipValue(header, inner, depth + 1);
}
