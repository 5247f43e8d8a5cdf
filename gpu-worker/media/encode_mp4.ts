// Encodes a video as MP4 (H.264, 4:2:0). Uses ffmpeg if it is installed and may be run,
// else an encoder in WebAssembly.
import type { DecodedVideo } from "./decoded_video.ts";
import { encodeMp4ByFfmpeg } from "./ffmpeg_mp4.ts";
import type { FileMetadata } from "./metadata/file_metadata.ts";
import { encodeMp4ByWasm } from "./wasm_mp4.ts";

export interface EncodeMp4Options {
  /** Quality, 0..100. @default 100 */
  compression?: number;
  /** The file's record of how it was made. @default none */
  metadata?: FileMetadata | undefined;
  /** Aborting rejects with the signal's reason and kills ffmpeg. */
  signal?: AbortSignal | undefined;
  /** The encoder to use. @default "any": ffmpeg if available */
  encoder?: "any" | "ffmpeg" | "wasm";
}

/**
 * Range of H.264's quantizer, where 0 is lossless and 51 the coarsest. Below 16 no difference is visible.
 */
const FINEST = 16;
const COARSEST = 51;

/**
 * Encodes a video.
 * @throws {RangeError} for an odd width or height. 4:2:0 stores one colour sample for 2 x 2 pixels, and only
 * 4:2:0 plays everywhere. The models' sizes are multiples of 8 or more.
 */
export async function encodeMp4(
  video: DecodedVideo,
  { compression = 100, metadata, signal, encoder = "any" }: EncodeMp4Options = {},
): Promise<Uint8Array<ArrayBuffer>> {
  for (const side of ["width", "height"] as const) {
    if (video[side] % 2 === 0) continue;
    throw new RangeError(`Cannot encode an MP4 as '${side}' must be even: current value is ${video[side]}`);
  }
  const options = {
    quantizer: Math.round(COARSEST - (COARSEST - FINEST) * compression / 100),
    metadata,
    signal,
  };
  const made = encoder === "wasm" ? undefined : await encodeMp4ByFfmpeg(video, options);
  if (made !== undefined) return made;
  if (encoder === "ffmpeg") throw new Error("Cannot encode by ffmpeg as there is none that may be run");
  return await encodeMp4ByWasm(video, options);
}
