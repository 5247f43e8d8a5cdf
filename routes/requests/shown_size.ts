// The size at which an image file is shown, from its header: the edge decodes no pixels.
import { imageSize } from "image-size";

export interface ShownSize {
  width: number;
  height: number;
}

/** First EXIF orientation whose image lies on its side. */
const FIRST_SIDEWAYS = 5;

/**
 * Reads the size in which an image is shown from its file's header.
 * @returns undefined where only a decoder can tell, or for what is no image
 */
export function shownSize(bytes: Uint8Array): ShownSize | undefined {
  const { width, height, type, orientation = 1 } = header(bytes);
  if (type === "jpg") {
    return orientation < FIRST_SIDEWAYS ? { width, height } : { width: height, height: width };
  }
  // These may be turned as well, which the library does not read.
  const isUpright = type === "gif" || (type === "png" && !holds(bytes, "eXIf")) ||
    (type === "webp" && !holds(bytes, "EXIF"));
  return isUpright ? { width, height } : undefined;
}

function header(bytes: Uint8Array): ReturnType<typeof imageSize> | Record<string, never> {
  try {
    return imageSize(bytes);
  } catch {
    return {};
  }
}

function holds(bytes: Uint8Array, name: string): boolean {
  return new TextDecoder("latin1").decode(bytes).includes(name);
}
