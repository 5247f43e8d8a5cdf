// Encodes MP4 without an installed encoder: minih264 in WebAssembly (npm:h264-mp4-encoder), baseline profile.
// Its own MP4 files support only whole frame rates, so the frames are moved into another file.
import { Buffer } from "node:buffer";
import encoders from "h264-mp4-encoder";
import { BufferSource, EncodedPacketSink, Input, MP4 } from "mediabunny";
import { letOthersRun } from "../../protocol/process/let_others_run.ts";
import { type EncodedFrame, writeMp4 } from "./write_mp4.ts";
import type { DecodedVideo } from "./decoded_video.ts";
import type { Mp4Settings } from "./ffmpeg_mp4.ts";

/** minih264's finest quantizer. */
const MIN_QUANTIZER = 10;

/**
 * Encodes a video on the JavaScript thread, and yields to other work after each frame.
 * @throws the reason of an aborted signal
 */
export async function encodeMp4ByWasm(
  video: DecodedVideo,
  settings: Mp4Settings,
): Promise<Uint8Array<ArrayBuffer>> {
  using input = new Input({ source: new BufferSource(await encode(video, settings)), formats: [MP4] });
  const track = (await input.getPrimaryVideoTrack())!;
  const frames: EncodedFrame[] = [];
  for await (const { data, type } of new EncodedPacketSink(track).packets()) {
    frames.push({ bytes: data, key: type === "key" });
  }
  const { codec, description } = (await track.getDecoderConfig())!;
  const config = { codec, ...description && { description } };
  return await writeMp4(frames, { video, config, metadata: settings.metadata });
}

async function encode(
  { width, height, fps, frames }: DecodedVideo,
  { quantizer, signal }: Omit<Mp4Settings, "metadata">,
): Promise<Uint8Array> {
  const encoder = await encoders.createH264MP4Encoder();
  try {
    encoder.width = width;
    encoder.height = height;
    encoder.frameRate = Math.ceil(fps);
    encoder.quantizationParameter = Math.max(MIN_QUANTIZER, quantizer);
    encoder.speed = 0;
    // Sets a key frame about every four seconds, for seeking.
    encoder.groupOfPictures = Math.ceil(4 * fps);
    encoder.initialize();
    for (const frame of frames) {
      encoder.addFrameRgba(withAlpha(frame));
      await letOthersRun();
      if (signal?.aborted) break;
    }
    encoder.finalize();
    const file = encoder.FS.readFile(encoder.outputFilename);
    encoder.FS.unlink(encoder.outputFilename);
    signal?.throwIfAborted();
    return file;
  } finally {
    encoder.delete();
  }
}

function withAlpha(rgb: Uint8Array): Buffer {
  const pixels = rgb.length / 3;
  const rgba = Buffer.alloc(pixels * 4, 255);
  for (let i = 0; i < pixels; i++) {
    rgba[4 * i] = rgb[3 * i]!;
    rgba[4 * i + 1] = rgb[3 * i + 1]!;
    rgba[4 * i + 2] = rgb[3 * i + 2]!;
  }
  return rgba;
}
