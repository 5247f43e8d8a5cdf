// Encodes a video as MP4: H.264, 4:2:0. By ffmpeg where it is installed and may be run, else by an encoder in WebAssembly.
import type { DecodedVideo } from "./decoded_video.ts";
import { encodeMp4ByFfmpeg } from "./ffmpeg_mp4.ts";
import { encodeMp4ByWasm } from "./wasm_mp4.ts";

export interface EncodeMp4Options {
  /** Quality, 0..100. @default 100 */
  compression?: number;
  /** Aborting rejects with the signal's reason; ffmpeg is killed. */
  signal?: AbortSignal | undefined;
  /** @default "any": ffmpeg if there is one */
  encoder?: "any" | "ffmpeg" | "wasm";
}

/** What H.264 calls its quantizer: 0 is lossless, 51 the coarsest. Below 16 nothing more can be seen. */
const FINEST = 16;
const COARSEST = 51;

/**
 * @throws {RangeError} for an odd width or height: 4:2:0 has one sample of color for two by two pixels, and no player
 * reads anything else everywhere. Models' sizes are multiples of 8 and more.
 */
export async function encodeMp4(
  video: DecodedVideo,
  { compression = 100, signal, encoder = "any" }: EncodeMp4Options = {},
): Promise<Uint8Array<ArrayBuffer>> {
  for (const side of ["width", "height"] as const) {
    if (video[side] % 2 === 0) continue;
    throw new RangeError(`Cannot encode an MP4 as '${side}' must be even: current value is ${video[side]}`);
  }
  const options = { quantizer: Math.round(COARSEST - (COARSEST - FINEST) * compression / 100), signal };
  const made = encoder === "wasm" ? undefined : await encodeMp4ByFfmpeg(video, options);
  if (made !== undefined) return made;
  if (encoder === "ffmpeg") throw new Error("Cannot encode by ffmpeg as there is none that may be run");
  return await encodeMp4ByWasm(video, options);
}
