import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readPromptFile } from "../../../gpu-worker/cli/read_prompts.ts";

/** Returns the prompts of a file with these bytes. */
function read(bytes: Uint8Array, total = Infinity) {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(path, bytes);
    return readPromptFile(path, total);
  } finally {
    Deno.removeSync(path);
  }
}

const utf8 = (text: string) => new TextEncoder().encode(text);

describe("readPromptFile()", () => {
  it("reads Windows PowerShell's UTF-16 with a byte order mark", () => {
    const text = "red heart\r\n\r\n🐶 dog\r\n";
    const units = Uint16Array.from(`\ufeff${text}`.split(""), (unit) => unit.charCodeAt(0));
    const expected = [{ line: 1, prompt: "red heart" }, { line: 3, prompt: "🐶 dog" }];
    const files = [new Uint8Array(units.buffer), utf8(text), utf8(`\ufeff${text}`)];
    for (const bytes of files) assert.deepEqual(read(bytes), expected);
  });

  it("ends lines at CR alone too", () => {
    assert.deepEqual(read(utf8("red\rblue\r\n\rgreen\n")), [
      { line: 1, prompt: "red" },
      { line: 2, prompt: "blue" },
      { line: 4, prompt: "green" },
    ]);
  });

  it("takes two spellings of one text for one prompt", () => {
    assert.deepEqual(read(utf8("caf\u00e9\ncafe\u0301\nx\n")), [
      { line: 1, prompt: "caf\u00e9" },
      { line: 3, prompt: "x" },
    ]);
    assert.deepEqual(read(utf8("a\nb\nc\n"), 2).map(({ prompt }) => prompt), ["a", "b"]);
  });

  it("refuses a file that is no text by name and line", () => {
    assert.throws(
      () => read(Uint8Array.of(...utf8("red\ncaf"), 0xe9)),
      /^Error: Cannot read \/.*: line 2 is not in UTF-8/,
    );
    assert.throws(() => readPromptFile("/nowhere/prompts.txt", 1), /Cannot read \/nowhere\/prompts.txt/);
  });
});
