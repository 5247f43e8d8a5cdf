// Writes files whole or not at all: first beside their place, then renamed.
import { dirname } from "node:path";

/**
 * Writes `bytes` to `path`, creating its folder. An interrupted or failed write leaves nothing behind.
 * @throws {Error} naming the path and the cause (not writable, disk full, ...).
 */
export async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  await writeAll([{ path, bytes }]);
}

/**
 * Writes all of `files`. If one cannot be written, none is, and files that were there before stay.
 * @throws {Error} as {@link writeAtomically} does.
 */
export async function writeAll(files: readonly { path: string; bytes: Uint8Array }[]): Promise<void> {
  const undo: (() => Promise<void>)[] = [];
  const named: (() => Promise<void>)[] = [];
  try {
    for (const { path, bytes } of files) {
      const temporary = temporaryName(path);
      undo.push(await makeFolder(path), () => Deno.remove(temporary));
      await naming(path, async () => {
        if (isFolder(path)) throw new Error("it is a folder");
        await Deno.mkdir(dirname(path), { recursive: true });
        await Deno.writeFile(temporary, bytes, { createNew: true });
      });
      named.push(() => naming(path, () => Deno.rename(temporary, path)));
    }
    for (const name of named) await name();
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {});
    throw error;
  }
}

/**
 * Checks that `path` can be written, before the work that fills it. Leaves no file and no folder behind.
 * @throws {Error} as {@link writeAtomically} does.
 */
export async function assertWritable(path: string): Promise<void> {
  const removeFolder = await makeFolder(path);
  const temporary = temporaryName(path);
  try {
    await naming(path, async () => {
      await Deno.mkdir(dirname(path), { recursive: true });
      await Deno.writeFile(temporary, new Uint8Array(), { createNew: true });
      await Deno.remove(temporary);
    });
  } finally {
    await Deno.remove(temporary).catch(() => {});
    await removeFolder();
  }
}

/** Creates the folder of `path`. @returns a function that removes the created folders if they are empty */
async function makeFolder(path: string): Promise<() => Promise<void>> {
  const made: string[] = [];
  for (let folder = dirname(path); isMissing(folder); folder = dirname(folder)) made.push(folder);
  // The write that follows reports the error.
  await Deno.mkdir(dirname(path), { recursive: true }).catch(() => {});
  return async () => {
    for (const folder of made) await Deno.remove(folder).catch(() => {});
  };
}

/**
 * A link whose target is gone is not missing: it is the user's, and must not be removed.
 * Under narrow permissions Deno refuses even to stat some folders (/proc). Those folders exist.
 */
function isMissing(folder: string): boolean {
  try {
    Deno.lstatSync(folder);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** A file of this name would replace no folder, but that shows only after others have been renamed. */
function isFolder(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch {
    return false;
  }
}

function temporaryName(path: string): string {
  return `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
}

/** Runs a part of a write. @throws {Error} naming `path` and the cause */
async function naming(path: string, part: () => Promise<void>): Promise<void> {
  try {
    await part();
  } catch (cause) {
    // Deno's own message would suggest to run with more permissions.
    const refused = cause instanceof Deno.errors.NotCapable;
    const reason = refused ? "not writable" : cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot write ${path}: ${reason}`, { cause });
  }
}
