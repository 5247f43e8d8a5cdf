// Reads from a file how this program made it.
import { BufferSource, Input, MP4 } from "mediabunny";
import { JSON_KEYWORD } from "./file_metadata.ts";
import { readGifJson } from "./gif_comment.ts";
import { readJpegJson } from "./jpeg_exif.ts";
import { readPngText } from "./png_text.ts";
import { readWebpJson } from "./webp_exif.ts";

/** Returns our JSON; undefined for a file without it, a damaged one, or one of another program. */
export async function readMetadata(file: Uint8Array): Promise<string | undefined> {
  try {
    return await read(file);
  } catch {
    return undefined;
  }
}

async function read(file: Uint8Array): Promise<string | undefined> {
  const start = new TextDecoder("latin1").decode(file.subarray(0, 12));
  if (start.slice(1, 4) === "PNG") return readPngText(file, JSON_KEYWORD);
  if (start.startsWith("\u00ff\u00d8")) return readJpegJson(file);
  if (start.startsWith("RIFF") && start.endsWith("WEBP")) return readWebpJson(file);
  if (start.startsWith("GIF8")) return readGifJson(file);
  if (start.slice(4, 8) !== "ftyp") return undefined;
  using input = new Input({ source: new BufferSource(Uint8Array.from(file)), formats: [MP4] });
  return (await input.getMetadataTags()).description;
}
