// A video to encode: a red square on white that moves right by one pixel per frame.
import type { DecodedVideo } from "../../../gpu-worker/media/decoded_video.ts";

export interface StripedVideoOptions {
  width?: number;
  height?: number;
  frames?: number;
  fps?: number;
}

export function stripedVideo(
  { width = 48, height = 32, frames = 17, fps = 8 }: StripedVideoOptions = {},
): DecodedVideo {
  return {
    width,
    height,
    fps,
    frames: Array.from({ length: frames }, (_, index) => {
      const rgb = new Uint8Array(width * height * 3).fill(255);
      for (let y = 8; y < 24; y++) {
        for (let x = 4 + index; x < 20 + index && x < width; x++) rgb.set([220, 40, 40], 3 * (y * width + x));
      }
      return rgb;
    }),
  };
}
