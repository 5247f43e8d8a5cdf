// International text in PNG files, iTXt: https://www.w3.org/TR/png-3/#11iTXt
import { crc32 } from "node:zlib";
import { pngTexts } from "../../../protocol/wire/png_texts.ts";
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

/**
 * Returns the text of `keyword`; undefined where there is none.
 * @throws {RangeError} for a compressed text past a megabyte
 */
export function readPngText(png: Uint8Array, keyword: string): string | undefined {
  return pngTexts(png).find((text) => text.keyword === keyword)?.read();
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
