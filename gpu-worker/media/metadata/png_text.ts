// International text in PNG files, iTXt: https://www.w3.org/TR/png-3/#11iTXt
import { Buffer } from "node:buffer";
import { crc32, inflateSync } from "node:zlib";
import { joinBytes } from "./join_bytes.ts";

const SIGNATURE_BYTES = 8;
/** Length, type and checksum of a chunk. */
const CHUNK_BYTES = 12;
/** The header, which must come first. */
const IHDR_BYTES = CHUNK_BYTES + 13;
const MAX_TEXT_BYTES = 2 ** 20;

/** Returns the file with a chunk for each text, by keyword, behind its header. */
export function addPngTexts(
  png: Uint8Array<ArrayBuffer>,
  texts: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const at = SIGNATURE_BYTES + IHDR_BYTES;
  const chunks = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return joinBytes([png.subarray(0, at), ...chunks, png.subarray(at)]);
}

/**
 * Returns the text of `keyword`; undefined where there is none. Programs that save a picture again write its
 * texts in another of PNG's three kinds.
 * @throws {RangeError} for a compressed text past a megabyte
 */
export function readPngText(png: Uint8Array, keyword: string): string | undefined {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = SIGNATURE_BYTES; at + CHUNK_BYTES <= png.length;) {
    const length = view.getUint32(at);
    const type = latin1(png.subarray(at + 4, at + 8));
    const data = png.subarray(at + 8, at + 8 + length);
    at += CHUNK_BYTES + length;
    if (!/^[itz](TX|EX)t$/.test(type)) continue;
    const end = data.indexOf(0);
    if (end < 0 || latin1(data.subarray(0, end)) !== keyword) continue;
    const rest = data.subarray(end + 1);
    if (type === "tEXt") return latin1(rest);
    if (type === "zTXt") return latin1(inflate(rest.subarray(1)));
    if (type !== "iTXt") continue;
    // Two bytes of compression, language and translated keyword with a NUL each, text.
    const language = rest.indexOf(0, 2);
    const translated = rest.indexOf(0, language + 1);
    if (language < 0 || translated < 0) continue;
    const text = rest.subarray(translated + 1);
    return new TextDecoder().decode(rest[0] === 0 ? text : inflate(text));
  }
  return undefined;
}

function inflate(data: Uint8Array): Uint8Array {
  return inflateSync(data, { maxOutputLength: MAX_TEXT_BYTES });
}

/** Not TextDecoder's latin1, which is Windows' 1252. */
function latin1(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString("latin1");
}

function textChunk(keyword: string, text: string): Uint8Array<ArrayBuffer> {
  const data = new TextEncoder().encode(`iTXt${keyword}\0\0\0\0\0${text}`);
  const chunk = new Uint8Array(data.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length - 4);
  chunk.set(data, 4);
  view.setUint32(chunk.length - 4, crc32(data));
  return chunk;
}
