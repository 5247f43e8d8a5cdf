// A random checkpoint of published width.

/** Disposing of it removes the folder, unless it is kept. */
export interface WideCheckpoint extends AsyncDisposable {
  folder: string;
  /** Layers of the published model for each that was written; 1 for a network that was written whole. */
  layers: number;
}

export interface WriteWideOptions {
  /** Layers of each kind. */
  layers: number;
  /** Python executable with torch, diffusers and transformers. */
  python: string;
  /** Folder that keeps checkpoints; what lies there is not written again. @default a temporary folder */
  keep?: string | undefined;
  signal: AbortSignal;
}

const SCRIPT = new URL("./write_wide.py", import.meta.url);

/**
 * Has Python write the checkpoint of a model that `write_wide.py` knows.
 * @throws {Error} with the last line that Python printed.
 */
export async function writeWide(name: string, options: WriteWideOptions): Promise<WideCheckpoint> {
  const { layers, keep } = options;
  const root = keep ?? await Deno.makeTempDir({ prefix: "wide-" });
  const folder = `${root}/${name}-${layers}`;
  const dispose = async () => {
    if (keep === undefined) await Deno.remove(root, { recursive: true });
  };
  try {
    const counts: Counts = await read(`${folder}.json`) ?? await write(name, folder, options);
    return { folder, layers: share(counts) * layers, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Layers by kind. */
interface Counts {
  written: Record<string, number>;
  published: Record<string, number>;
}

async function read(path: string): Promise<Counts | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function write(name: string, folder: string, options: WriteWideOptions): Promise<Counts> {
  const { layers, python, signal } = options;
  const line = await runScript(python, [name, String(layers), folder], signal);
  await Deno.writeTextFile(`${folder}.json`, line);
  return JSON.parse(line);
}

/** Returns the names that the script knows. */
export async function listModels(python: string, signal: AbortSignal): Promise<string[]> {
  return JSON.parse(await runScript(python, [], signal));
}

/** Returns the last line that the script prints. */
async function runScript(python: string, args: string[], signal: AbortSignal): Promise<string> {
  const command = new Deno.Command(python, {
    args: [SCRIPT.pathname, ...args],
    stdout: "piped",
    stderr: "piped",
    signal,
  });
  const { success, stdout, stderr } = await command.output();
  const line = new TextDecoder().decode(success ? stdout : stderr).trim().split("\n").at(-1)!;
  if (!success) throw new Error(`Cannot write a checkpoint with ${python}: ${line}`);
  return line;
}

/** Returns how many layers were published for each that was written; 1 if the network was written whole. */
function share({ written, published }: Counts): number {
  const sum = (counts: Record<string, number>) =>
    Object.values(counts).reduce((sum, count) => sum + count, 0);
  return Object.keys(published).length === 0 ? 1 : sum(published) / sum(written);
}
