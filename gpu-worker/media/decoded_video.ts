// Frames between a video VAE and clip files.

/** A clip as video families return it, already in the eight bits that every clip format has. */
export interface DecodedVideo {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Frames a second. */
  fps: number;
  /** RGB, [height, width, 3], one array a frame. */
  frames: Uint8Array<ArrayBuffer>[];
}
