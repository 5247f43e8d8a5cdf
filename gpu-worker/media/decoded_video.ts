// A video between a video VAE and video files.

/** A video as video families return it: already in 8 bits, as in every video format. */
export interface DecodedVideo {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Frames per second. */
  fps: number;
  /** RGB, [height, width, 3], one array per frame. */
  frames: Uint8Array<ArrayBuffer>[];
}
