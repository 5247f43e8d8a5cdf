// Times diffusers on the same checkpoint and CPU, for `deno task bench --python`.

export interface PeerOptions {
  /** Python executable with torch and diffusers. */
  python: string;
  model: string;
  rounds: number;
  /** Steps of each run. @default the checkpoint's */
  steps?: number | undefined;
  /** Device and type, by torch's names. @default cpu and float32 */
  device?: string;
  dtype?: string;
  signal: AbortSignal;
}

export interface PeerTiming {
  /** Names and versions: "diffusers 0.42.1, torch 2.15.0". */
  name: string;
  /** Seconds of one denoising step with method none, median over the rounds. */
  stepSeconds: number;
}

const SCRIPT = new URL("../../../tests/goldens/time_diffusers.py", import.meta.url);

/**
 * Runs the Python script and returns its timing.
 * @throws {Error} with the last line that Python printed.
 */
export async function runPeer(options: PeerOptions): Promise<PeerTiming> {
  const { python, model, rounds, steps, device = "cpu", dtype = "float32", signal } = options;
  const command = new Deno.Command(python, {
    args: [
      ...[SCRIPT.pathname, "--model", model, "--rounds", String(rounds)],
      ...["--device", device, "--dtype", dtype],
      ...steps === undefined ? [] : ["--steps", String(steps)],
    ],
    stdout: "piped",
    stderr: "piped",
    signal,
  });
  const { success, stdout, stderr } = await command.output();
  if (!success) {
    const reason = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
    throw new Error(`Cannot time diffusers with ${python}: ${reason}`);
  }
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
}
