// Decoded weights against PyPI's gguf and torch, to the last bit (tests/goldens/gguf/make_goldens.py).
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { numberTable } from "../../../../gpu-worker/checkpoint/blocks/number_tables.ts";
import { readRowBytes, readRows } from "../../../../gpu-worker/checkpoint/blocks/read_rows.ts";
import { exactQuantization, repackBlocks } from "../../../../gpu-worker/checkpoint/blocks/repack_blocks.ts";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import type { WeightEntry } from "../../../../gpu-worker/checkpoint/weights.ts";
import { GraphBuilder } from "../../../../gpu-worker/graph/graph_builder.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";
import { runGraph } from "../../graph/run_graph.ts";
import { goldenPath } from "../../../goldens/golden.ts";

const ENTRIES = readTensors(goldenPath("gguf/types.gguf"));
const EXPECTED = readTensors(goldenPath("gguf/types.safetensors"));
const { crc32: SUMS }: { crc32: Record<string, number> } = JSON.parse(
  Deno.readTextFileSync(goldenPath("gguf/types.json")),
);

function read(entry: WeightEntry, from = 0, to = entry.shape[0]!): Float32Array<ArrayBuffer> {
  using file = Deno.openSync(entry.path);
  return readRows(file, entry, { from, to });
}

describe("readRows()", () => {
  for (const [type, sum] of Object.entries(SUMS)) {
    it(`decodes ${type} as gguf does, to the bit`, () => {
      const values = read(ENTRIES.get(type)!);
      assert.deepEqual([...values.slice(0, 8)], [...read(EXPECTED.get(type)!)]);
      assert.equal(crc32(new Uint8Array(values.buffer)), sum);
    });
  }

  it("reads any rows of any type", () => {
    for (const entry of ENTRIES.values()) {
      assert.deepEqual(read(entry, 1, 3), read(entry).slice(512, 3 * 512), entry.blocks ?? entry.dtype);
    }
  });

  it("reads halves in reverse order", () => {
    const entry = ENTRIES.get("Q8_0")!;
    const values = read(entry);
    const swapped = { ...entry, order: "swapped" } as const;
    assert.deepEqual(read(swapped), Float32Array.of(...values.slice(1024), ...values.slice(0, 1024)));
    assert.deepEqual(read(swapped, 1, 4), Float32Array.of(...values.slice(1536), ...values.slice(0, 1024)));
    assert.deepEqual(read(swapped, 2, 3), values.slice(0, 512));
  });
});

describe("a head's halves in turn", () => {
  // llama.cpp's permute(): rows (head, half, i) become (head, i, half).
  const [heads, half, columns] = [2, 2, 4];
  const ours = (row: number) => {
    const [head, within] = [Math.floor(row / (2 * half)), row % (2 * half)];
    return head * 2 * half + (within % half) * 2 + Math.floor(within / half);
  };

  it("are put after each other, on the host and in a graph", async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const path = join(folder, "x.safetensors");
      const rows = heads * half * 2;
      const data = Float32Array.from({ length: rows * columns }, (_, i) => i);
      Deno.writeFileSync(path, encodeSafetensors([{ name: "w", dims: [rows, columns], data }]));
      const entry = { ...readTensors(path).get("w")!, order: "paired", headRows: 2 * half } as const;
      const expected = Float32Array.from(
        data,
        (_, i) => ours(Math.floor(i / columns)) * columns + i % columns,
      );
      assert.deepEqual(read(entry), expected);
      assert.deepEqual(read(entry, 3, 6), expected.slice(3 * columns, 6 * columns));
      const graph = new GraphBuilder({ name: "x", weights: new Map([["w", entry]]), dtype: "float32" });
      const zero = graph.input("zero", [1], "float32");
      graph.output("y", graph.node("Add", [graph.weight("w", [rows, columns]), zero]), [rows, columns]);
      const { y } = await runGraph(graph.build(), { zero: { shape: [1], data: new Float32Array(1) } });
      assert.deepEqual(y!.data, expected);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});

describe("repackBlocks()", () => {
  for (const type of ["Q8_0", "Q4_0", "Q5_0"] as const) {
    it(`keeps every number of ${type}`, () => {
      const entry = ENTRIES.get(type)!;
      using file = Deno.openSync(entry.path);
      const { data, scales } = repackBlocks(readRowBytes(file, entry, { from: 0, to: 4 }), type);
      const { bits, blockSize } = exactQuantization(type)!;
      const values = read(entry);
      for (const [i, value] of values.entries()) {
        const number = bits === 8 ? data[i]! : data[i >> 1]! >> (i & 1) * 4 & 15;
        assert.equal(Math.fround((number - 2 ** (bits - 1)) * scales[Math.floor(i / blockSize)]!), value);
      }
    });
  }
});

describe("numberTable()", () => {
  for (const dtype of ["float8_e4m3fn", "float8_e5m2"] as const) {
    it(`holds every ${dtype} as torch reads it`, () => {
      // Object.is() tells -0 from 0, and takes NaN for NaN.
      assert.ok([...numberTable(dtype)].every((value, i) => Object.is(value, read(EXPECTED.get(dtype)!)[i])));
    });
  }
});
