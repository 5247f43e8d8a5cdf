// A Python that has certain modules, for tests of what clients in Python make of our answers.

/**
 * The first Python on PATH, or the one that SPECTRUM_PYTHON names, that imports `modules`; undefined: there
 * is none. Virtual environments are found by having their folder on PATH.
 */
export function findPython(...modules: string[]): string | undefined {
  const named = Deno.env.get("SPECTRUM_PYTHON");
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter(Boolean);
  const candidates = named ? [named] : folders.map((folder) => `${folder}/python3`);
  return candidates.find((python) => has(python, modules));
}

/**
 * The JSON that `script` prints.
 * @throws {Error} with what it wrote to standard error, unless it exits with 0 in time
 */
export async function runPython(
  python: string,
  { script, args = [], withinMs = 120_000 }: { script: string; args?: string[]; withinMs?: number },
): Promise<unknown> {
  const { success, stdout, stderr } = await new Deno.Command(python, {
    args: ["-c", script, ...args],
    signal: AbortSignal.timeout(withinMs),
  }).output();
  if (!success) throw new Error(`Python failed:\n${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

function has(python: string, modules: readonly string[]): boolean {
  try {
    // Imports nothing: openai alone takes a second.
    const script =
      "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, sys.argv[1:])))";
    const args = ["-c", script, ...modules];
    return new Deno.Command(python, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
