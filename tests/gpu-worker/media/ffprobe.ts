// Inspects files with ffmpeg's own tools, the reference for everything that this project writes.
import type { DecodedVideo } from "../../../gpu-worker/media/decoded_video.ts";
import { skipWithout } from "../../installed.ts";

/** For `skip`: the reason to skip checks with ffprobe, or false. */
export const WITHOUT_FFMPEG: string | false = skipWithout("ffmpeg") || skipWithout("ffprobe");

export interface Probed {
  codec: string;
  pixelFormat: string;
  width: number;
  height: number;
  /** Frames per second as a fraction: "8/1". */
  rate: string;
  frames: number;
  seconds: number;
}

export async function probe(bytes: Uint8Array): Promise<Probed> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, bytes);
    const fields = "stream=codec_name,pix_fmt,width,height,avg_frame_rate,nb_read_frames:format=duration";
    const args = ["-v", "error", "-count_frames", "-show_entries", fields, "-of", "json", path];
    const { streams: [stream], format } = JSON.parse(await run("ffprobe", args));
    return {
      codec: stream.codec_name,
      pixelFormat: stream.pix_fmt,
      width: stream.width,
      height: stream.height,
      rate: stream.avg_frame_rate,
      frames: Number(stream.nb_read_frames),
      seconds: Number(format.duration),
    };
  } finally {
    await Deno.remove(path);
  }
}

/** Returns the mean PSNR in dB between an encoded video's frames and their originals. */
export async function psnr(bytes: Uint8Array, { width, height, frames }: DecodedVideo): Promise<number> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, bytes);
    const args = ["-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"];
    const { stdout } = await new Deno.Command("ffmpeg", { args }).output();
    const size = width * height * 3;
    const each = frames.map((frame, index) => {
      const squares = frame.reduce((sum, value, i) => sum + (value - stdout[index * size + i]!) ** 2, 0);
      return 10 * Math.log10(255 ** 2 / (squares / size));
    });
    return each.reduce((sum, value) => sum + value, 0) / each.length;
  } finally {
    await Deno.remove(path);
  }
}

async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
