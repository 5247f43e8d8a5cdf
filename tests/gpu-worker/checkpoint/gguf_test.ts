// Headers of GGUF files: those of gguf-py, and those that lie.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { readGguf } from "../../../gpu-worker/checkpoint/gguf.ts";
import { readTensors } from "../../../gpu-worker/checkpoint/read_tensors.ts";
import { goldenPath } from "../../goldens/golden.ts";

let folder: string;
beforeEach(() => {
  folder = Deno.makeTempDirSync();
});
afterEach(() => Deno.removeSync(folder, { recursive: true }));

type Part = { u32: number } | { u64: number | bigint } | { text: string } | { bytes: number[] };
const u32 = (u32: number): Part => ({ u32 });
const u64 = (u64: number | bigint): Part => ({ u64 });
const text = (text: string): Part => ({ text });

function bytesOf(part: Part): number[] {
  const view = new DataView(new ArrayBuffer(8));
  if ("bytes" in part) return part.bytes;
  if ("u32" in part) {
    view.setUint32(0, part.u32, true);
    return [...new Uint8Array(view.buffer, 0, 4)];
  }
  if ("u64" in part) {
    view.setBigUint64(0, BigInt(part.u64), true);
    return [...new Uint8Array(view.buffer)];
  }
  const encoded = [...new TextEncoder().encode(part.text)];
  return [...bytesOf(u64(encoded.length)), ...encoded];
}

interface Made {
  version?: number;
  tensors?: number | bigint;
  fields?: readonly Part[][];
  fieldCount?: number | bigint;
  entries?: readonly Part[][];
  data?: number;
}

/** Writes a file with these parts, right or wrong. */
function make(
  { version = 3, entries = [], tensors = entries.length, fields = [], fieldCount = fields.length, data = 0 }:
    Made,
) {
  const path = join(folder, "x.gguf");
  const header = [u32(version), u64(tensors), u64(fieldCount), ...fields.flat(), ...entries.flat()].flatMap(
    bytesOf,
  );
  const bytes = [...new TextEncoder().encode("GGUF"), ...header];
  while (bytes.length % 32 !== 0) bytes.push(0);
  Deno.writeFileSync(path, new Uint8Array([...bytes, ...new Array(data).fill(7)]));
  return path;
}

const tensor = (
  { name = "w", dims = [32, 2], type = 8, offset = 0 }: {
    name?: string;
    dims?: (number | bigint)[];
    type?: number;
    offset?: number | bigint;
  },
): Part[] => [text(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset)];

const BIG = 2n ** 63n;
const HOSTILE: Record<string, [Made, RegExp]> = {
  "version 1": [{ version: 1 }, /version 2 or 3, but its version is 1/],
  "big-endian bytes": [{ version: 3 * 2 ** 24 }, /big-endian/],
  "more tensors than bytes": [{ tensors: 1000 }, /truncated, or damaged/],
  "2^63 tensors": [{ tensors: BIG }, /its header holds the number/],
  "10^8 tensors": [{ tensors: 1e8 }, /at most 100000 tensors, but lists 100000000/],
  "10^8 fields": [{ fieldCount: 1e8 }, /at most 100000 fields/],
  "a name of 2^50 bytes": [{ fields: [[u64(2 ** 50)]] }, /at most 65535 bytes, but has 1125899906842624/],
  "a text of 2^50 bytes": [{ fields: [[text("a"), u32(8), u64(2 ** 50)]] }, /truncated, or damaged/],
  "a list of 2^50 numbers": [
    { fields: [[text("a"), u32(9), u32(6), u64(2 ** 50)]] },
    /truncated, or damaged/,
  ],
  "a list of 2^50 texts": [{ fields: [[text("a"), u32(9), u32(8), u64(2 ** 50)]] }, /truncated, or damaged/],
  "lists in lists in lists": [
    { fields: [[text("a"), u32(9), ...Array.from({ length: 9 }, () => [u32(9), u64(1)]).flat()]] },
    /unknown type 9/,
  ],
  "a field of an unknown type": [{ fields: [[text("a"), u32(99)]] }, /unknown type 99/],
  "an alignment of 24": [
    { fields: [[text("general.alignment"), u32(4), u32(24)]] },
    /power of two up to 65536, but is 24/,
  ],
  "an alignment of 0": [{ fields: [[text("general.alignment"), u32(4), u32(0)]] }, /power of two/],
  "an alignment in words": [
    { fields: [[text("general.alignment"), u32(8), text("x")]] },
    /wrong type 8|power of two/,
  ],
  "bytes that are no UTF-8": [{ fields: [[u64(2), { bytes: [0xff, 0xfe] }]] }, /not UTF-8/],
  "two tensors of one name": [{ entries: [tensor({}), tensor({})], data: 68 }, /holds 'w' twice/],
  "nine dimensions": [{ entries: [tensor({ dims: Array(9).fill(1) })] }, /at most 8 dimensions, but has 9/],
  "a type that we do not read": [
    { entries: [tensor({ type: 16 })], data: 68 },
    /ggml's type 16, which is not supported/,
  ],
  "a type with a table of numbers": [
    { entries: [tensor({ type: 20 })], data: 68 },
    /is in IQ4_NL, of ggml's type 20, which is not supported: known are F32/,
  ],
  "a type that nobody knows": [{ entries: [tensor({ type: 4_000_000 })], data: 68 }, /ggml's type 4000000/],
  "rows that are no whole blocks": [
    { entries: [tensor({ dims: [24, 2] })], data: 68 },
    /multiple of 32 numbers, as Q8_0 has blocks, but has 24/,
  ],
  "dimensions whose product overflows": [
    { entries: [tensor({ dims: [2 ** 40, 2 ** 40] })] },
    /which no file can hold|truncated download/,
  ],
  "an offset off the alignment": [
    { entries: [tensor({ offset: 8 })], data: 99 },
    /multiple of 32, but begins at 8/,
  ],
  "an offset of 2^63": [{ entries: [tensor({ offset: BIG })] }, /its header holds the number/],
  "an offset after the end": [{ entries: [tensor({ offset: 2 ** 40 })], data: 68 }, /truncated download/],
  "data that was cut off": [
    { entries: [tensor({})], data: 67 },
    /ends at byte \d+ of a file of \d+: truncated download/,
  ],
  "an original shape of another size": [
    {
      fields: [[text("comfy.gguf.orig_shape.w"), u32(9), u32(5), u64(2), u32(3), u32(3)]],
      entries: [tensor({})],
      data: 68,
    },
    /original shape is \[3,3\]/,
  ],
};

describe("readGguf()", () => {
  it("reads what gguf-py writes", () => {
    const { architecture, tensors } = readGguf(goldenPath("gguf/types.gguf"));
    assert.equal(architecture, "flux");
    assert.deepEqual(readTensors(goldenPath("gguf/types.gguf")), tensors);
    const shapes = [...tensors].map((
      [name, { shape, dtype, blocks }],
    ) => [name, [...shape], blocks ?? dtype]);
    assert.deepEqual(shapes.slice(0, 4), [
      ["F32", [4, 512], "float32"],
      ["F16", [4, 512], "float16"],
      ["BF16", [4, 512], "bfloat16"],
      ["Q8_0", [4, 512], "Q8_0"],
    ]);
  });

  it("reads version 2, and a shape with more dimensions than ggml has", () => {
    const shape = [text("comfy.gguf.orig_shape.w"), u32(9), u32(5), u64(5), ...[1, 2, 2, 4, 4].map(u32)];
    const { tensors } = readGguf(make({ version: 2, fields: [shape], entries: [tensor({})], data: 68 }));
    assert.deepEqual(tensors.get("w")!.shape, [1, 2, 2, 4, 4]);
  });

  it("reads a convolution of videos in its own five dimensions, as files of Wan hold it", () => {
    const { tensors } = readGguf(make({
      entries: [tensor({ name: "patch_embedding.weight", dims: [2, 2, 1, 16, 3], type: 0 })],
      data: 4 * 192,
    }));
    assert.deepEqual(tensors.get("patch_embedding.weight")!.shape, [3, 16, 1, 2, 2]);
  });

  it("knows LLaMA's heads, whose rows llama.cpp has put in another order", () => {
    const [q, k] = [
      tensor({ name: "blk.0.attn_q.weight", dims: [32, 8] }),
      tensor({ name: "blk.0.attn_k.weight", dims: [32, 4] }),
    ];
    const heads = [text("llama.attention.head_count"), u32(4), u32(2)];
    const keyHeads = [text("llama.attention.head_count_kv"), u32(4), u32(1)];
    const orders = (fields: Part[][]) => {
      const { tensors } = readGguf(make({ fields, entries: [q, k], data: 272 }));
      return [...tensors.values()].map(({ order, headRows }) => [order, headRows]);
    };
    assert.deepEqual(orders([heads, keyHeads]), [["paired", 4], ["paired", 4]]);
    assert.deepEqual(orders([heads]), [["paired", 4], ["paired", 2]]);
    assert.deepEqual(orders([]), [[undefined, undefined], [undefined, undefined]]);
  });

  for (const [what, [made, message]] of Object.entries(HOSTILE)) {
    it(`refuses ${what} in one line`, () => {
      const path = make(made);
      assert.throws(() => readTensors(path), (error: Error) => {
        assert.ok(error instanceof CheckpointError, `${error}`);
        assert.match(error.message, message);
        assert.ok(!error.message.includes("\n") && error.message.startsWith(`Cannot read ${path} as `));
        return true;
      });
    });
  }

  it("refuses every beginning of a file in one line", () => {
    const bytes = Deno.readFileSync(goldenPath("gguf/types.gguf"));
    const path = join(folder, "x.gguf");
    for (let length = 4; length < bytes.length; length += length < 1100 ? 7 : 4999) {
      Deno.writeFileSync(path, bytes.subarray(0, length));
      assert.throws(() => readTensors(path), CheckpointError);
    }
  });
});
