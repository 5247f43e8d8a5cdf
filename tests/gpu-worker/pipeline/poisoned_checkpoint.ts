// A copy of a checkpoint in which one number of one tensor is not finite, as an overflow or
// a damaged file leaves it.
import { join } from "node:path";

export interface Poison {
  /** Below the checkpoint's folder. */
  file: string;
  /** A tensor of it, float32 or float16. */
  tensor: string;
  /** Index of the number. @default 0 */
  at?: number;
  /** @default NaN */
  value?: number;
}

/** A temporary folder, removed when disposed. */
export class PoisonedCheckpoint implements Disposable {
  readonly folder: string = Deno.makeTempDirSync();

  constructor(original: string, { file, tensor, at = 0, value = NaN }: Poison) {
    copyFolder(original, this.folder);
    const path = join(this.folder, file);
    const bytes = Deno.readFileSync(path);
    const view = new DataView(bytes.buffer);
    const header = Number(view.getBigUint64(0, true));
    const { [tensor]: entry } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + header)));
    const start = 8 + header + entry.data_offsets[0];
    if (entry.dtype === "F32") view.setFloat32(start + 4 * at, value, true);
    else view.setFloat16(start + 2 * at, value, true);
    Deno.writeFileSync(path, bytes);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copyFolder(join(from, name), join(to, name));
    else Deno.copyFileSync(join(from, name), join(to, name));
  }
}
