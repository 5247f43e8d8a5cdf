import { CheckpointError } from "./checkpoint_error.ts";

/**
 * Fills `bytes` from the file, beginning at byte `offset`.
 * @param place `path` names the file in the error
 * @throws {CheckpointError} if the file ends before.
 */
export function readAt(
  file: Deno.FsFile,
  { path, offset, bytes }: { path: string; offset: number; bytes: Uint8Array },
): void {
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let filled = 0; filled < bytes.length;) {
    const read = file.readSync(bytes.subarray(filled));
    if (read === null) {
      throw new CheckpointError(
        `Cannot read ${path} as it ends at byte ${offset + filled}: truncated download?`,
      );
    }
    filled += read;
  }
}
