import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { cleanText, decodeText, parseJsonText, TextError, toNfc } from "../../../protocol/wire/text.ts";

/** UTF-16 with a byte order mark. */
function utf16(text: string, { big = false } = {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 + 2 * text.length));
  for (const [index, unit] of [0xfeff, ...text.split("").map((unit) => unit.charCodeAt(0))].entries()) {
    view.setUint16(2 * index, unit, !big);
  }
  return new Uint8Array(view.buffer);
}

const utf8 = (text: string) => new TextEncoder().encode(text);

describe("cleanText()", () => {
  it("puts U+FFFD for half of a pair, one spelling for an accent, and keeps control characters", () => {
    assert.equal(cleanText("a \ud83d face"), "a \ufffd face");
    assert.equal(cleanText("a \udc36"), "a \ufffd");
    assert.equal(cleanText("🐶"), "🐶");
    assert.equal(cleanText("e\u0301"), "\u00e9");
    assert.equal(cleanText("\u0000a\tb\u0085\u001b"), "\u0000a\tb\u0085\u001b");
  });
});

describe("toNfc()", () => {
  it("leaves a text as it is that has more marks in a row than any script, in one pass", () => {
    const many = `e${"\u0301\u0323".repeat(16_000)}`;
    assert.equal(toNfc(many), many);
    // Up to there marks are put in order.
    const few = "\u0301\u0323".repeat(31);
    assert.equal(toNfc(`e${few}`), `e${few}`.normalize("NFC"));
    assert.notEqual(toNfc(`e${few}`), `e${few}`);
  });
});

describe("parseJsonText()", () => {
  it("mends strings and keys at any depth, and nothing else", () => {
    const json = String
      .raw`{"a":["x\ud83d",{"\uDC36k":"\uD83D\uDC36"}],"__proto__":"\ud83d","n":1.5,"t":null}`;
    const expected = JSON.parse(
      String.raw`{"a":["x\ufffd",{"\ufffdk":"🐶"}],"__proto__":"\ufffd","n":1.5,"t":null}`,
    );
    assert.deepEqual(parseJsonText(json), expected);
    assert.equal(parseJsonText(String.raw`"\\ud83d"`), String.raw`\ud83d`);
    assert.throws(() => parseJsonText(String.raw`"\ud83d`), SyntaxError);
  });
});

describe("decodeText()", () => {
  it("reads UTF-8 and UTF-16 as their byte order marks say, without the mark", () => {
    const text = "red heart\n赤い 🐶\r\n";
    const files = [utf8(text), utf8(`\ufeff${text}`), utf16(text), utf16(text, { big: true })];
    for (const bytes of files) assert.equal(decodeText(bytes), text);
    assert.equal(decodeText(new Uint8Array()), "");
    assert.equal(decodeText(Uint8Array.of(0xff, 0xfe)), "");
  });

  it("refuses bytes that are not text, naming the first line at fault", () => {
    const bytes = (...parts: (string | number[])[]) =>
      Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...utf8(part)] : part));
    const cases: [Uint8Array, number, RegExp][] = [
      // Latin-1.
      [bytes("fine\nred caf", [0xe9], "\nfine"), 2, /UTF-8/],
      // UTF-8 that ends within a character, and the surrogates of CESU-8.
      [bytes("fine\n\n", [0xf0, 0x9f]), 3, /UTF-8/],
      [bytes("a", [0xed, 0xa0, 0xbd]), 1, /UTF-8/],
      // UTF-16 without a mark, and UTF-32 with one.
      [utf16("red\nheart").subarray(2), 1, /NUL/],
      [bytes([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]), 1, /NUL/],
      // Half of a pair, and half of a unit.
      [utf16("fine\na \ud83d b\nfine"), 2, /UTF-16/],
      [utf16("fine\na \ud83d b\nfine", { big: true }), 2, /UTF-16/],
      [bytes([...utf16("fine\nfine")], [0x61]), 2, /UTF-16/],
      // A character whose lower byte is a line feed's begins no line.
      [utf16("\u010a\u0a00\n\ud83d"), 2, /UTF-16/],
      // A picture.
      [bytes([0x89], "PNG\r\n"), 1, /UTF-8/],
    ];
    for (const [file, line, reason] of cases) {
      assert.throws(() => decodeText(file), (error) => {
        assert.ok(error instanceof TextError);
        assert.deepEqual([error.line, reason.test(error.message)], [line, true], error.message);
        return true;
      });
    }
  });
});
