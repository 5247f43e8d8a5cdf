// The files of a weight store.
import { join } from "node:path";

/**
 * Returns name, inode and size of each file in a folder, by name. A file that was written
 * again has another inode.
 */
export function storedFiles(path: string): { name: string; ino: number | null; size: number }[] {
  return [...Deno.readDirSync(path)].map(({ name }) => {
    const { ino, size } = Deno.statSync(join(path, name));
    return { name, ino, size };
  }).sort((a, b) => a.name < b.name ? -1 : 1);
}
