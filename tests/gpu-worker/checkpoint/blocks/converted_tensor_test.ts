// The bytes of converted weights, where a matrix is larger than the piece that is in memory at once.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { writeConverted } from "../../../../gpu-worker/checkpoint/blocks/converted_tensor.ts";
import { dequantizeBlocks } from "../../../../gpu-worker/checkpoint/blocks/dequantize_blocks.ts";
import { quantizeBlocks } from "../../../../gpu-worker/checkpoint/blocks/quantize_blocks.ts";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import { splitRows } from "../../../../gpu-worker/checkpoint/split_rows.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";

const [ROWS, COLUMNS] = [2500, 1000];

/** Bytes of one block of Q6_K with a scale of 1. */
const BLOCK = 210;

describe("writeConverted()", () => {
  it("reads blocks that end inside a row, as city96's convolutions have them", async () => {
    // 33.75 blocks a row, and more numbers than are in memory at once.
    const [rows, columns] = [128, 960 * 9];
    const bytes = Uint8Array.from(
      { length: rows * columns / 256 * BLOCK },
      (_, i) => (i * 2_654_435_761) >>> 13,
    );
    for (let at = 208; at < bytes.length; at += BLOCK) bytes.set([0, 0x3c], at);
    const folder = Deno.makeTempDirSync();
    try {
      const path = join(folder, "blocks");
      Deno.writeFileSync(path, bytes);
      const shape = [rows, 960, 3, 3];
      const source = {
        ...{ path, shape, offset: 0, byteLength: bytes.length },
        ...{ dtype: "float32", blocks: "Q6_K" } as const,
      };
      using file = Deno.openSync(join(folder, "converted"), { write: true, createNew: true });
      const byteLength = rows * columns * 4;
      await writeConverted(file, { source, offset: 0, byteLength });
      const found = new Float32Array(Deno.readFileSync(join(folder, "converted")).buffer);
      assert.deepEqual(found, dequantizeBlocks(bytes, "Q6_K"));
      const message = /in Q6_K must be split where its blocks end, after every 4 rows: its parts have 63, 65/;
      assert.throws(() => splitRows(source, [63, 65]), { name: "CheckpointError", message });
      assert.deepEqual(splitRows(source, [64, 64]).map(({ offset }) => offset), [0, bytes.length / 2]);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });

  it("writes whole rows column by column, and their scales row by row", async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const source = join(folder, "x.safetensors");
      const data = Float32Array.from(
        { length: ROWS * COLUMNS },
        (_, i) => Math.sin(i * 12.9898) * (1 + i % 977),
      );
      Deno.writeFileSync(source, encodeSafetensors([{ name: "w", dims: [ROWS, COLUMNS], data }]));
      const quantization = { bits: 8, blockSize: COLUMNS, wholeRows: true } as const;
      const target = join(folder, "converted");
      using file = Deno.openSync(target, { write: true, createNew: true });
      const [offset, byteLength] = [64, ROWS * COLUMNS];
      const scalesOffset = offset + byteLength + 44;
      await writeConverted(file, {
        source: readTensors(source).get("w")!,
        quantization,
        offset,
        byteLength,
        scalesOffset,
      });
      const bytes = Deno.readFileSync(target);
      const expected = quantizeBlocks(data, quantization);
      assert.deepEqual(new Float32Array(bytes.slice(scalesOffset).buffer), expected.scales);
      for (let row = 0; row < ROWS; row += 7) {
        for (let column = 0; column < COLUMNS; column++) {
          const number = bytes[offset + column * ROWS + row];
          if (number !== expected.data[row * COLUMNS + column]) assert.fail(`row ${row}, column ${column}`);
        }
      }
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});
