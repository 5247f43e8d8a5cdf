// International text in PNG files, iTXt: https://www.w3.org/TR/png-3/#11iTXt
import { crc32 } from "node:zlib";
import { joinBytes } from "./join_bytes.ts";

const SIGNATURE_BYTES = 8;
/** Length, type and checksum of a chunk. */
const CHUNK_BYTES = 12;
/** The header, which must come first. */
const IHDR_BYTES = CHUNK_BYTES + 13;

/** Returns the file with a chunk for each text, by keyword, behind its header. */
export function addPngTexts(
  png: Uint8Array<ArrayBuffer>,
  texts: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const at = SIGNATURE_BYTES + IHDR_BYTES;
  const chunks = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return joinBytes([png.subarray(0, at), ...chunks, png.subarray(at)]);
}

/** Returns the uncompressed text of `keyword`; undefined where there is none. */
export function readPngText(png: Uint8Array, keyword: string): string | undefined {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const decoder = new TextDecoder();
  for (let at = SIGNATURE_BYTES; at + CHUNK_BYTES <= png.length;) {
    const length = view.getUint32(at);
    const type = decoder.decode(png.subarray(at + 4, at + 8));
    const data = png.subarray(at + 8, at + 8 + length);
    at += CHUNK_BYTES + length;
    if (type !== "iTXt") continue;
    // Keyword, a NUL, two bytes of compression, language and translated keyword with a NUL each, text.
    const parts = [data.indexOf(0)];
    parts.push(data.indexOf(0, parts[0]! + 3));
    parts.push(data.indexOf(0, parts[1]! + 1));
    if (parts.includes(-1) || decoder.decode(data.subarray(0, parts[0])) !== keyword) continue;
    if (data[parts[0]! + 1] === 0) return decoder.decode(data.subarray(parts[2]! + 1));
  }
  return undefined;
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
