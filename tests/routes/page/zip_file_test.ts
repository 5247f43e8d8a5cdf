import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { zipFile } from "../../../routes/page/browser/zip_file.js";

describe("zipFile()", () => {
  it("stores files under their names, numbered where two are alike, as its directory says", async () => {
    const texts = ["one", "two", "שלום"];
    const names = ["a.png", "a.png", "לב.png"];
    const files = texts.map((text, index) => ({ name: names[index]!, content: new Blob([text]) }));
    const bytes = new Uint8Array(await (await zipFile(files)).arrayBuffer());
    assert.deepEqual(readZip(bytes), { "a.png": "one", "a-2.png": "two", "לב.png": "שלום" });
  });
});

/** Follows the directory at the end, as programs do, and checks what both headers of a file say. */
function readZip(bytes: Uint8Array): Record<string, string> {
  const view = new DataView(bytes.buffer);
  const text = (at: number, length: number) => new TextDecoder().decode(bytes.subarray(at, at + length));
  const end = bytes.length - 22;
  assert.equal(view.getUint32(end, true), 0x06054b50);
  const files: Record<string, string> = {};
  let entry = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count--) {
    assert.equal(view.getUint32(entry, true), 0x02014b50);
    const length = view.getUint16(entry + 28, true);
    const header = view.getUint32(entry + 42, true);
    assert.equal(view.getUint32(header, true), 0x04034b50);
    assert.deepEqual(bytes.slice(header + 4, header + 30), bytes.slice(entry + 6, entry + 32));
    const name = text(entry + 46, length);
    assert.equal(text(header + 30, length), name);
    const size = view.getUint32(entry + 20, true);
    const start = header + 30 + length;
    assert.equal(view.getUint32(entry + 16, true), crc32(bytes.subarray(start, start + size)));
    files[name] = text(start, size);
    entry += 46 + length;
  }
  assert.equal(entry, end);
  return files;
}
