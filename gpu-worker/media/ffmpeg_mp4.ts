// Encodes MP4 with an installed ffmpeg. Frames go in and H.264 comes out through pipes, and this code writes
// the file around it. Nothing touches the disk: ffmpeg can write MP4 to a pipe only in fragments, in which
// not every player can seek.
import { type EncodedFrame, writeMp4 } from "./write_mp4.ts";
import type { DecodedVideo } from "./decoded_video.ts";
import type { FileMetadata } from "./metadata/file_metadata.ts";

export interface Mp4Settings {
  /** H.264's quantizer, 0 (lossless) to 51. */
  quantizer: number;
  metadata: FileMetadata | undefined;
  signal: AbortSignal | undefined;
}

/**
 * Encodes a video as MP4.
 * @returns undefined if there is no ffmpeg, or if it may not be run
 * @throws the reason of an aborted signal; Error with ffmpeg's message
 */
export async function encodeMp4ByFfmpeg(
  video: DecodedVideo,
  settings: Mp4Settings,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const stream = await toH264(video, settings);
  if (stream === undefined) return undefined;
  const { frames, codec } = accessUnits(stream);
  return await writeMp4(frames, { video, config: { codec }, metadata: settings.metadata });
}

/**
 * Returns the name of the MP4 encoder: ffmpeg with its version, or "wasm" if
 * ffmpeg is missing or may not be run.
 */
export function mp4Encoder(): string {
  try {
    const { stdout } = new Deno.Command("ffmpeg", { args: ["-version"] }).outputSync();
    return new TextDecoder().decode(stdout).split("\n", 1)[0]!;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotCapable) return "wasm";
    throw cause;
  }
}

async function toH264(
  { width, height, fps, frames }: DecodedVideo,
  { quantizer, signal }: Mp4Settings,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const input = [
    "-f",
    "rawvideo",
    "-pix_fmt",
    "rgb24",
    "-s",
    `${width}x${height}`,
    "-r",
    `${fps}`,
    "-i",
    "-",
  ];
  // No B-frames (frames that refer to later ones), so that frames are stored in display order.
  const h264 = [
    "-c:v",
    "libx264",
    "-preset",
    "medium",
    "-crf",
    `${quantizer}`,
    "-bf",
    "0",
    "-pix_fmt",
    "yuv420p",
  ];
  const color = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-color_range", "tv"];
  const tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"];
  // A listener added after the abort would not be called.
  signal?.throwIfAborted();
  const child = spawn(["-loglevel", "error", ...input, ...h264, ...color, ...tags, "-f", "h264", "-"]);
  if (child === undefined) return undefined;
  const kill = () => killQuietly(child);
  signal?.addEventListener("abort", kill);
  try {
    const [, output] = await Promise.all([feed(child, frames), child.output()]);
    signal?.throwIfAborted();
    if (!output.success) {
      const said = new TextDecoder().decode(output.stderr).trim();
      throw new Error(`ffmpeg failed: ${said.slice(0, 500) || `status ${output.code}`}`);
    }
    return output.stdout;
  } finally {
    signal?.removeEventListener("abort", kill);
    // A process whose input was not finished would wait forever.
    kill();
  }
}

function spawn(args: string[]): Deno.ChildProcess | undefined {
  try {
    return new Deno.Command("ffmpeg", { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotCapable) return undefined;
    throw cause;
  }
}

/**
 * Writes all frames. A child that has ended breaks the pipe; its own error message says
 * more, so that error is ignored.
 */
async function feed(child: Deno.ChildProcess, frames: readonly Uint8Array[]): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    for (const frame of frames) await writer.write(frame);
    await writer.close();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.BrokenPipe)) throw cause;
  }
}

function killQuietly(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // The process has already ended.
  }
}

const SLICES = [1, 5];
const IDR = 5;
const SPS = 7;

/**
 * Splits the stream into frames. A frame ends where the next frame's parameters or first slice
 * begin. Start codes stay (Annex B).
 */
function accessUnits(stream: Uint8Array): { frames: EncodedFrame[]; codec: string } {
  const frames: EncodedFrame[] = [];
  let profile = "";
  let [start, key, sliced] = [0, false, false];
  for (const { at, header } of nalUnits(stream)) {
    const type = stream[header]! & 31;
    const slice = SLICES.includes(type);
    // first_mb_in_slice is an Exp-Golomb code; a single set bit means 0.
    const opens = !slice || (stream[header + 1]! & 128) !== 0;
    if (sliced && opens) {
      frames.push({ bytes: stream.subarray(start, at), key });
      [start, key, sliced] = [at, false, false];
    }
    if (type === SPS) profile = stream.subarray(header + 1, header + 4).toHex();
    key ||= type === IDR;
    sliced ||= slice;
  }
  if (sliced) frames.push({ bytes: stream.subarray(start), key });
  return { frames, codec: `avc1.${profile}` };
}

/** Yields the position of each unit's start code and of its header byte. */
function* nalUnits(stream: Uint8Array): Generator<{ at: number; header: number }> {
  for (let i = 0; i + 3 < stream.length; i++) {
    if (stream[i] !== 0 || stream[i + 1] !== 0 || stream[i + 2] !== 1) continue;
    yield { at: i > 0 && stream[i - 1] === 0 ? i - 1 : i, header: i + 3 };
    i += 2;
  }
}
