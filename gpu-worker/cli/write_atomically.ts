// Writes files whole or not at all: first beside their place, then renamed.
import { existsSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes `bytes` to `path`, creating its folder. An interrupted or failed write leaves nothing behind.
 * @throws {Error} naming the path and the cause (not writable, disk full, ...).
 */
export async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  await withTemporary(path, async (temporary) => {
    await Deno.writeFile(temporary, bytes, { createNew: true });
    await Deno.rename(temporary, path);
  });
}

/** Writes all of `files`, or none if one fails. @throws {Error} as {@link writeAtomically} does. */
export async function writeAll(files: readonly { path: string; bytes: Uint8Array }[]): Promise<void> {
  const undo: (() => Promise<void>)[] = [];
  try {
    for (const { path, bytes } of files) {
      undo.push(await makeFolder(path));
      await writeAtomically(path, bytes);
      undo.push(() => Deno.remove(path));
    }
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
  try {
    await withTemporary(path, async (temporary) => {
      await Deno.writeFile(temporary, new Uint8Array(), { createNew: true });
      await Deno.remove(temporary);
    });
  } finally {
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

/** Under narrow permissions Deno refuses even to stat some folders (/proc). Those folders exist. */
function isMissing(folder: string): boolean {
  try {
    return !existsSync(folder);
  } catch {
    return false;
  }
}

async function withTemporary(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  const removeFolder = await makeFolder(path);
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await write(temporary);
  } catch (cause) {
    await Deno.remove(temporary).catch(() => {});
    await removeFolder();
    // Deno's own message would suggest to run with more permissions.
    const refused = cause instanceof Deno.errors.NotCapable;
    const reason = refused ? "not writable" : cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot write ${path}: ${reason}`, { cause });
  }
}
