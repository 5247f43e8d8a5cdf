// Stills of a video: single frames, a thumbnail and a spritesheet, like those of OpenAI's videos.
import type { DecodedVideo } from "./decoded_video.ts";
import { type EncodeImageOptions, encodeRgb } from "./encode_rgb.ts";
import sharp from "sharp";

/** Largest number of frames on a spritesheet. */
const SHEET_FRAMES = 25;
/** Longest side of a frame on the spritesheet, in pixels. */
const SHEET_SIDE = 160;
const QUALITY = 85;

/** Encodes one frame as an image file. */
export function encodeFrame(
  { width, height, frames }: DecodedVideo,
  { index, ...options }: EncodeImageOptions & { index: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const rgb = frames[index];
  if (rgb === undefined) {
    throw new RangeError(
      `Cannot encode a frame as 'index' must be in 0..${frames.length - 1}: current value is ${index}`,
    );
  }
  return encodeRgb({ width, height, rgb }, options);
}

/** Encodes the middle frame as WebP. */
export function encodeThumbnail(video: DecodedVideo): Promise<Uint8Array<ArrayBuffer>> {
  const index = Math.floor(video.frames.length / 2);
  return encodeFrame(video, { index, format: "webp", compression: QUALITY });
}

/**
 * Encodes up to 25 frames as one JPEG: evenly spaced from first to last, row by row on a nearly square sheet.
 */
export async function encodeSpritesheet(video: DecodedVideo): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, frames } = video;
  const count = Math.min(SHEET_FRAMES, frames.length);
  const scale = Math.min(1, SHEET_SIDE / Math.max(width, height));
  const [tileWidth, tileHeight] = [width, height].map((side) => Math.max(1, Math.round(side * scale))) as [
    number,
    number,
  ];
  const columns = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / columns);
  const tiles = await Promise.all(Array.from({ length: count }, async (_, i) => {
    const frame = frames[count === 1 ? 0 : Math.round(i * (frames.length - 1) / (count - 1))]!;
    const input = await sharp(frame, { raw: { width, height, channels: 3 } })
      .resize(tileWidth, tileHeight, { fit: "fill" }).raw().toBuffer();
    return {
      input,
      raw: { width: tileWidth, height: tileHeight, channels: 3 as const },
      left: i % columns * tileWidth,
      top: Math.floor(i / columns) * tileHeight,
    };
  }));
  const sheet = sharp({
    create: { width: columns * tileWidth, height: rows * tileHeight, channels: 3, background: "black" },
  });
  return Uint8Array.from(await sheet.composite(tiles).jpeg({ quality: QUALITY }).toBuffer());
}
