// Writes an MP4 file around H.264 frames in memory (npm:mediabunny). The index comes
// first, so that players start at once.
import { BufferTarget, EncodedPacket, EncodedVideoPacketSource, Mp4OutputFormat, Output } from "mediabunny";
import type { DecodedVideo } from "./decoded_video.ts";
import type { FileMetadata } from "./metadata/file_metadata.ts";

/** One encoded frame. */
export interface EncodedFrame {
  bytes: Uint8Array;
  /** Whether decoding can start here. */
  key: boolean;
}

export interface WriteMp4Options {
  /** The encoded video, for its size and frame rate. */
  video: DecodedVideo;
  /** "avc1.PPCCLL", and avcC's bytes, unless the frames carry their parameters between start codes. */
  config: { codec: string; description?: AllowSharedBufferSource };
  /** What the file's tags say about how it was made. @default nothing */
  metadata?: FileMetadata | undefined;
}

/**
 * Writes the file.
 * @param frames in display order
 * @throws {Error} if the encoder lost frames
 */
export async function writeMp4(
  frames: readonly EncodedFrame[],
  { video: { width, height, fps, frames: { length } }, config, metadata }: WriteMp4Options,
): Promise<Uint8Array<ArrayBuffer>> {
  if (frames.length !== length) throw new Error(`The encoder made ${frames.length} frames of ${length}`);
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: "in-memory" }), target });
  const source = new EncodedVideoPacketSource("avc");
  output.addVideoTrack(source, { frameRate: fps });
  if (metadata) {
    // "desc" is what ffprobe and players call the description.
    output.setMetadataTags({ comment: metadata.parameters, raw: { desc: metadata.json } });
  }
  await output.start();
  const decoderConfig = { ...config, codedWidth: width, codedHeight: height };
  for (const [index, { bytes, key }] of frames.entries()) {
    const packet = new EncodedPacket(bytes, key ? "key" : "delta", index / fps, 1 / fps);
    await source.add(packet, { decoderConfig });
  }
  await output.finalize();
  return new Uint8Array(target.buffer!);
}
