// Runs decode_video_process.ts.
import assert from "node:assert/strict";

/**
 * Decodes a video in a process of its own.
 * @param vae the VAE's folder, relative to tests/goldens/
 * @returns the process's peak memory, and the size of the video's frames
 */
export async function decodeInProcess(
  vae: string,
  { numFrames, side }: { numFrames: number; side: number },
): Promise<{ peak: number; bytes: number }> {
  const script = decodeURIComponent(new URL("decode_video_process.ts", import.meta.url).pathname);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, vae, String(numFrames), String(side)],
    stdout: "piped",
  });
  const { stdout, success } = await command.output();
  assert.ok(success);
  return JSON.parse(new TextDecoder().decode(stdout));
}
