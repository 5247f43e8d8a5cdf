// The bytes of converted weights, where a matrix is larger than the piece that is in memory at once.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { writeConverted } from "../../../../gpu-worker/checkpoint/blocks/converted_tensor.ts";
import { quantizeBlocks } from "../../../../gpu-worker/checkpoint/blocks/quantize_blocks.ts";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";

const [ROWS, COLUMNS] = [2500, 1000];

describe("writeConverted()", () => {
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
