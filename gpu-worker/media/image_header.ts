// Reads what an image file says of itself. Only the header is read, so that a file is refused
// before its pixels take memory.
import sharp from "sharp";
import { ImageError, type ImageFieldName } from "./image_error.ts";

export interface ImageHeader {
  /** Pixels, after the rotation that the file's EXIF orientation asks for. */
  width: number;
  height: number;
  hasAlpha: boolean;
}

/** The formats that libvips decodes with its own code only. SVG and PDF could refer to other files. */
const FORMATS = ["jpeg", "png", "webp", "gif", "tiff", "heif"];
/** 64 megapixels. A decompression bomb of a few kilobytes can claim more than any camera produces. */
export const MAX_PIXELS = 2 ** 26;

/**
 * Reads the header of an image file.
 * @param field names the file in errors
 * @throws {ImageError} if the bytes are no image, one of another format, an animation, or one of
 * more than 64 megapixels.
 */
export async function readImageHeader(bytes: Uint8Array, field: ImageFieldName): Promise<ImageHeader> {
  if (bytes.length === 0) throw notAnImage(field);
  const { format, width, height, pages = 1, hasAlpha, autoOrient } = await sharp(bytes, {
    limitInputPixels: false,
  })
    .metadata()
    .catch((cause) => {
      throw notAnImage(field, cause);
    });
  if (!FORMATS.includes(format)) {
    throw new ImageError(`${format} is not one of ${FORMATS.join(", ")}`, { field });
  }
  if (width * height > MAX_PIXELS) {
    throw new ImageError(`it must have at most ${MAX_PIXELS} pixels: it is ${width}x${height}`, { field });
  }
  // HEIF files hold thumbnails and other views beside the image.
  const frames = format === "heif" ? 1 : format === "png" ? framesOfPng(bytes) : pages;
  if (frames > 1) {
    throw new ImageError(`it must be a still image: it has ${frames} frames. Try one of them`, { field });
  }
  return { ...autoOrient, hasAlpha };
}

/** Returns the error for bytes that libvips cannot decode. */
export function notAnImage(field: ImageFieldName, cause?: unknown): ImageError {
  return new ImageError(`it is no image, or a damaged one. Try one of ${FORMATS.join(", ")}`, {
    field,
    cause,
  });
}

/** Returns the frames that an animated PNG announces before its pixels. libvips does not read this. */
function framesOfPng(bytes: Uint8Array): number {
  const file = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [acTL, IDAT] = [0x6163544c, 0x49444154];
  // A chunk is its length, type, data and checksum.
  for (let at = 8; at + 12 <= file.byteLength; at += 12 + file.getUint32(at)) {
    const type = file.getUint32(at + 4);
    if (type === IDAT) break;
    if (type === acTL) return file.getUint32(at + 8);
  }
  return 1;
}
