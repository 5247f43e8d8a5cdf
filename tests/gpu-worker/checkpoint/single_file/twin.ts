// Puts a single file together that has the numbers of a tiny checkpoint, as
// tests/goldens/single_file describes.
import { join } from "node:path";
import { readJsonObject } from "../../../../gpu-worker/checkpoint/read_json_object.ts";
import { FolderSource } from "../../../../gpu-worker/checkpoint/checkpoint_source.ts";
import type { WeightEntry, Weights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { DTYPE_BYTES } from "../../../../gpu-worker/runtime/dtype.ts";
import { goldenPath } from "../../../goldens/golden.ts";

export interface FileTensor {
  dtype: string;
  shape: readonly number[];
  data: Uint8Array;
}

const CODES: Record<string, string> = { float32: "F32", float16: "F16", bfloat16: "BF16", int64: "I64" };

/** A file in a folder of its own, which is removed with it. */
export class Twin implements Disposable {
  /** The checkpoint's folder. */
  readonly folder: string;
  readonly path: string;
  readonly #scratch: string;

  /**
   * @param name of a description in tests/goldens/single_file
   * @param change edits the tensors before they are written
   */
  constructor(name: string, change: (tensors: Map<string, FileTensor>) => void = () => {}) {
    const { folder, tensors } = readJsonObject(goldenPath(`single_file/${name}.json`));
    this.folder = goldenPath(String(folder));
    const made = twinTensors(this.folder, tensors as Record<string, string[]>);
    change(made);
    this.#scratch = Deno.makeTempDirSync();
    this.path = join(this.#scratch, "model.safetensors");
    writeSafetensors(this.path, made);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#scratch, { recursive: true });
  }
}

/**
 * @param described each tensor's component, its tensors in the folder, and how they are
 * ordered, as in "=swapped"
 */
function twinTensors(folder: string, described: Record<string, string[]>): Map<string, FileTensor> {
  const source = new FolderSource(folder);
  const components = new Map<string, Weights>();
  const made = new Map<string, FileTensor>();
  for (const [key, [component = "", ...rest]] of Object.entries(described)) {
    if (!components.has(component)) components.set(component, source.weights(component));
    const how = rest.findLast((part) => part.startsWith("="));
    const names = rest.filter((part) => part !== how);
    const entries = names.map((name) => components.get(component)!.get(name)!);
    made.set(key, arrange(entries, how));
  }
  return made;
}

function arrange(entries: readonly WeightEntry[], how: string | undefined): FileTensor {
  const [{ dtype, shape }] = entries as [WeightEntry];
  const data = concat(entries.map(read));
  const code = CODES[dtype]!;
  if (shape.length === 0) return { dtype: code, shape, data };
  const rows = entries.reduce((sum, entry) => sum + entry.shape[0]!, 0);
  const size = [rows, ...shape.slice(1)];
  switch (how) {
    case undefined:
      return { dtype: code, shape: size, data };
    case "=swapped": {
      const half = data.length / 2;
      return { dtype: code, shape: size, data: concat([data.subarray(half), data.subarray(0, half)]) };
    }
    case "=pixel":
      return { dtype: code, shape: [...size, 1, 1], data };
    case "=frame":
      return { dtype: code, shape: size.toSpliced(2, 0, 1), data };
    case "=transposed": {
      const [height = 0, width = 0] = size;
      const bytes = DTYPE_BYTES[dtype];
      const turned = new Uint8Array(data.length);
      for (let i = 0; i < height * width; i++) {
        const to = (i % width) * height + Math.floor(i / width);
        turned.set(data.subarray(i * bytes, (i + 1) * bytes), to * bytes);
      }
      return { dtype: code, shape: [width, height], data: turned };
    }
    default:
      throw new RangeError(`Cannot make a tensor as it is described by ${how}`);
  }
}

/** Returns a tensor of a folder as it is. */
export function fileTensorOf(entry: WeightEntry): FileTensor {
  return { dtype: CODES[entry.dtype]!, shape: entry.shape, data: read(entry) };
}

function read({ path, offset, byteLength }: WeightEntry): Uint8Array {
  return Deno.readFileSync(path).subarray(offset, offset + byteLength);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Writes tensors as a .safetensors file. */
export function writeSafetensors(path: string, tensors: ReadonlyMap<string, FileTensor>): void {
  let end = 0;
  const header = Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, data }]) => [name, {
      dtype,
      shape,
      data_offsets: [end, end += data.length],
    }]),
  );
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(text, 8);
  Deno.writeFileSync(path, concat([padded, ...[...tensors.values()].map(({ data }) => data)]));
}
