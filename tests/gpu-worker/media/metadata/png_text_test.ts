// Texts of PNG files as other programs write them when they save a picture again.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";
import { readPngText } from "../../../../gpu-worker/media/metadata/png_text.ts";

/** A file of one chunk behind the signature. */
function png(type: string, ...parts: (string | Uint8Array)[]): Uint8Array {
  const data = Buffer.concat([
    Buffer.from(type),
    ...parts.map((part) => Buffer.from(part as string, "latin1")),
  ]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length - 4);
  sum.writeUInt32BE(crc32(data));
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), length, data, sum]);
}
const utf8 = (text: string) => Buffer.from(text);

describe("readPngText()", () => {
  it("reads plain and compressed texts of all three kinds", () => {
    const files = {
      "caf\u00e9": png("tEXt", "spectrum\0caf\u00e9"),
      "caf\u00e9, packed": png(
        "zTXt",
        "spectrum\0\0",
        deflateSync(Buffer.from("caf\u00e9, packed", "latin1")),
      ),
      "雪": png("iTXt", "spectrum\0\0\0en\0Name\0", utf8("雪")),
      "雪, packed": png("iTXt", "spectrum\0\x01\0\0\0", deflateSync(utf8("雪, packed"))),
    };
    for (const [text, file] of Object.entries(files)) assert.equal(readPngText(file, "spectrum"), text);
    for (const file of Object.values(files)) assert.equal(readPngText(file, "parameters"), undefined);
  });

  it("reads nothing from texts that are cut off", () => {
    for (
      const file of [png("tEXt", "spectrum"), png("iTXt", "spectrum\0\0\0en"), png("abcd", "spectrum\0x")]
    ) {
      assert.equal(readPngText(file, "spectrum"), undefined);
    }
  });

  it("unpacks a megabyte and no more", () => {
    const bomb = png("zTXt", "spectrum\0\0", deflateSync(Buffer.alloc(64 * 2 ** 20)));
    assert.throws(() => readPngText(bomb, "spectrum"), RangeError);
  });
});
