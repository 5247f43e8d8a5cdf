// Frames between a video VAE and video files.

/** A video as video families return it, already in the eight bits that every video format has. */
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
