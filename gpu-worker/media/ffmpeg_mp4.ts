// MP4 by an installed ffmpeg: frames go in and H.264 comes out by pipes, and the file around it is written here.
// So nothing touches the disk: MP4 itself cannot be written to a pipe but in fragments, which not every player seeks in.
import { type EncodedFrame, writeMp4 } from "./write_mp4.ts";
import type { DecodedVideo } from "./decoded_video.ts";

export interface Mp4Settings {
  /** H.264's, 0 (lossless) to 51. */
  quantizer: number;
  signal: AbortSignal | undefined;
}

/**
 * @returns undefined where there is no ffmpeg, or where it may not be run
 * @throws the reason of an aborted signal; Error with what ffmpeg said
 */
export async function encodeMp4ByFfmpeg(
  video: DecodedVideo,
  settings: Mp4Settings,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const stream = await toH264(video, settings);
  if (stream === undefined) return undefined;
  const { frames, codec } = accessUnits(stream);
  return await writeMp4(frames, { video, config: { codec } });
}

/** What encodes MP4s here: ffmpeg and its version, or "wasm" where it may not be run. */
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
  // No frames that refer to later ones: those in the file are then in the order in which they are shown.
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
  // A listener that is added later would not hear of it.
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
    // One that was not fed to the end would wait for ever.
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

/** A child that has ended breaks the pipe; what it said on the way tells more than that. */
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
    // It has ended by itself.
  }
}

const SLICES = [1, 5];
const IDR = 5;
const SPS = 7;

/** A frame ends where the next one's parameters or first slice begin. Start codes stay (Annex B). */
function accessUnits(stream: Uint8Array): { frames: EncodedFrame[]; codec: string } {
  const frames: EncodedFrame[] = [];
  let profile = "";
  let [start, key, sliced] = [0, false, false];
  for (const { at, header } of nalUnits(stream)) {
    const type = stream[header]! & 31;
    const slice = SLICES.includes(type);
    // first_mb_in_slice is an Exp-Golomb code, whose 0 is a single set bit.
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

/** Where each unit's start code begins, and where its header byte is. */
function* nalUnits(stream: Uint8Array): Generator<{ at: number; header: number }> {
  for (let i = 0; i + 3 < stream.length; i++) {
    if (stream[i] !== 0 || stream[i + 1] !== 0 || stream[i + 2] !== 1) continue;
    yield { at: i > 0 && stream[i - 1] === 0 ? i - 1 : i, header: i + 3 };
    i += 2;
  }
}
