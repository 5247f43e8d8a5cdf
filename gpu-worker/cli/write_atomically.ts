// Files appear whole or not at all: written beside their place, then renamed.
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

/** Writes all of `files` or, where one fails, none. @throws {Error} as {@link writeAtomically} does. */
export async function writeAll(files: readonly { path: string; bytes: Uint8Array }[]): Promise<void> {
  const written: string[] = [];
  try {
    for (const { path, bytes } of files) {
      await writeAtomically(path, bytes);
      written.push(path);
    }
  } catch (error) {
    for (const path of written) await Deno.remove(path).catch(() => {});
    throw error;
  }
}

/** Finds out whether `path` can be written before the work that fills it. @throws {Error} as {@link writeAtomically} does. */
export async function assertWritable(path: string): Promise<void> {
  await withTemporary(path, async (temporary) => {
    await Deno.writeFile(temporary, new Uint8Array(), { createNew: true });
    await Deno.remove(temporary);
  });
}

async function withTemporary(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await write(temporary);
  } catch (cause) {
    await Deno.remove(temporary).catch(() => {});
    // Deno's own message would advise to run with more permissions.
    const refused = cause instanceof Deno.errors.NotCapable;
    const reason = refused ? "not writable" : cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot write ${path}: ${reason}`, { cause });
  }
}
