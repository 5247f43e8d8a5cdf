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
  /** The record in the file's tags of how it was made. @default none */
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
  const file = new Uint8Array(target.buffer!);
  clearTimes(new DataView(file.buffer));
  return file;
}

const CONTAINERS = new Set(["moov", "trak", "mdia"]);
const TIMED = new Set(["mvhd", "tkhd", "mdhd"]);

/**
 * Sets the times of creation and modification to zero. mediabunny writes the time of day, but equal
 * videos must be equal files.
 */
function clearTimes(boxes: DataView<ArrayBuffer>): void {
  for (let offset = 0; offset + 8 <= boxes.byteLength;) {
    const size = boxes.getUint32(offset);
    const type = String.fromCharCode(...new Uint8Array(boxes.buffer, boxes.byteOffset + offset + 4, 4));
    if (size < 8 || offset + size > boxes.byteLength) return;
    const content = new DataView(boxes.buffer, boxes.byteOffset + offset + 8, size - 8);
    if (CONTAINERS.has(type)) clearTimes(content);
    // Version and flags, then both times: 64 bits each in version 1.
    const timeBytes = TIMED.has(type) ? (content.getUint8(0) === 1 ? 16 : 8) : 0;
    for (let i = 0; i < timeBytes; i++) content.setUint8(4 + i, 0);
    offset += size;
  }
}
