// Pictures and videos as files, to the bit: a bench draws its references once.
import type { Pixels } from "../../../gpu-worker/cli/calibrate/picture_psnr.ts";

/** Writes a head and the numbers after it. */
export async function writePixels(path: string, { image, video }: Pixels): Promise<void> {
  const { width, height } = image;
  const { frames = [], fps = 0 } = video ?? {};
  const head = JSON.stringify({ width, height, fps, frames: frames.length });
  const { buffer, byteOffset, byteLength } = image.data;
  const parts = [
    new TextEncoder().encode(head.padEnd(HEAD_BYTES)),
    new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength),
    ...frames as Uint8Array<ArrayBuffer>[],
  ];
  await Deno.writeFile(path, new Uint8Array(await new Blob(parts).arrayBuffer()));
}

const HEAD_BYTES = 128;

/** Returns undefined if there is no such file. */
export async function readPixels(path: string): Promise<Pixels | undefined> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, HEAD_BYTES)));
  const { width, height, fps, frames: count } = head;
  const pixels = 3 * width * height;
  const data = new Float32Array(bytes.buffer, HEAD_BYTES, pixels);
  const image = { width, height, data };
  if (count === 0) return { image };
  const first = HEAD_BYTES + data.byteLength;
  const frames = Array.from(
    { length: count },
    (_, i) => bytes.subarray(first + i * pixels, first + (i + 1) * pixels),
  );
  return { image, video: { width, height, fps, frames } };
}
