// A copy of a checkpoint whose float32 weights are stored in a narrower type.
import { join } from "node:path";
import { readSafetensorsHeader } from "../../../gpu-worker/checkpoint/safetensors.ts";
import { toBfloat16 } from "../../../gpu-worker/runtime/mod.ts";
import { type FileTensor, writeSafetensors } from "../checkpoint/single_file/twin.ts";

const NARROW = {
  BF16: toBfloat16,
  F16: (values: Float32Array<ArrayBuffer>) => Float16Array.from(values),
};

/** A temporary folder, deleted on disposal. */
export class NarrowCheckpoint implements Disposable {
  readonly folder: string = Deno.makeTempDirSync();

  constructor(original: string, dtype: keyof typeof NARROW) {
    copy(original, this.folder, dtype);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function copy(from: string, to: string, dtype: keyof typeof NARROW): void {
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (isDirectory) {
      Deno.mkdirSync(target);
      copy(source, target, dtype);
    } else if (name.endsWith(".safetensors")) writeSafetensors(target, narrowed(source, dtype));
    else Deno.copyFileSync(source, target);
  }
}

function narrowed(path: string, dtype: keyof typeof NARROW): Map<string, FileTensor> {
  const bytes = Deno.readFileSync(path);
  const tensors = new Map<string, FileTensor>();
  for (const [name, { dtype: stored, shape, offset, byteLength }] of readSafetensorsHeader(path)) {
    if (stored !== "float32") continue;
    const values = new Float32Array(bytes.slice(offset, offset + byteLength).buffer);
    tensors.set(name, { dtype, shape, data: new Uint8Array(NARROW[dtype](values).buffer) });
  }
  return tensors;
}
