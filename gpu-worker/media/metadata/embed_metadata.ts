// Writes into a file how it was made. Equal files and metadata give equal bytes. An MP4 gets its tags as it
// is written (media/write_mp4.ts).
import { type FileMetadata, JSON_KEYWORD } from "./file_metadata.ts";
import { addGifJson } from "./gif_comment.ts";
import { addJpegExif } from "./jpeg_exif.ts";
import { addPngTexts } from "./png_text.ts";
import { addWebpExif, type WebpSize } from "./webp_exif.ts";

export interface EmbedMetadataOptions {
  format: "png" | "jpeg" | "webp" | "gif";
  size: WebpSize;
  metadata: FileMetadata;
}

export function embedMetadata(
  file: Uint8Array<ArrayBuffer>,
  { format, size, metadata }: EmbedMetadataOptions,
): Uint8Array<ArrayBuffer> {
  switch (format) {
    case "png":
      return addPngTexts(file, { parameters: metadata.parameters, [JSON_KEYWORD]: metadata.json });
    case "jpeg":
      return addJpegExif(file, metadata);
    case "webp":
      return addWebpExif(file, { ...metadata, size });
    case "gif":
      return addGifJson(file, metadata.json);
    default:
      throw new TypeError(`Cannot embed metadata in a file of format ${format satisfies never}`);
  }
}
