// Texts in PNG files, of all three kinds: https://www.w3.org/TR/png-3/#11textinfo
import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";

const SIGNATURE_BYTES = 8;
/** Length, type and checksum of a chunk. */
const CHUNK_BYTES = 12;
const MAX_TEXT_BYTES = 2 ** 20;

/** A text of a file. Reading it may be dear: it may be compressed. */
export interface PngText {
  keyword: string;
  /** Decompresses the text. @throws {RangeError} for a compressed text past a megabyte */
  read(): string;
}

/** Yields the texts of a file. Programs that save a picture again write its texts in another kind. */
export function* pngTexts(png: Uint8Array): Generator<PngText> {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = SIGNATURE_BYTES; at + CHUNK_BYTES <= png.length;) {
    const length = view.getUint32(at);
    const type = latin1(png.subarray(at + 4, at + 8));
    const data = png.subarray(at + 8, at + 8 + length);
    at += CHUNK_BYTES + length;
    if (!/^(?:tEXt|zTXt|iTXt)$/.test(type)) continue;
    const end = data.indexOf(0);
    if (end < 0) continue;
    const keyword = latin1(data.subarray(0, end));
    const rest = data.subarray(end + 1);
    if (type === "tEXt") yield { keyword, read: () => latin1(rest) };
    if (type === "zTXt") yield { keyword, read: () => latin1(inflate(rest.subarray(1))) };
    if (type !== "iTXt") continue;
    // Two bytes of compression, language and translated keyword with a NUL each, text.
    const language = rest.indexOf(0, 2);
    const translated = rest.indexOf(0, language + 1);
    if (language < 0 || translated < 0) continue;
    const text = rest.subarray(translated + 1);
    yield { keyword, read: () => new TextDecoder().decode(rest[0] === 0 ? text : inflate(text)) };
  }
}

function inflate(data: Uint8Array): Uint8Array {
  return inflateSync(data, { maxOutputLength: MAX_TEXT_BYTES });
}

/** Not TextDecoder's latin1, which is Windows' 1252. */
function latin1(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString("latin1");
}
