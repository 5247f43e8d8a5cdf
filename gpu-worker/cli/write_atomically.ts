// Files appear whole or not at all: written beside their place, then renamed.
import { dirname } from "node:path";

/**
 * Writes `bytes` to `path`, creating its folder. An interrupted or failed write leaves nothing behind.
 * @throws {Error} naming the path and the cause (not writable, disk full, ...).
 */
export async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeFile(temporary, bytes, { createNew: true });
    await Deno.rename(temporary, path);
  } catch (cause) {
    await Deno.remove(temporary).catch(() => {});
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot write ${path}: ${reason}`, { cause });
  }
}
