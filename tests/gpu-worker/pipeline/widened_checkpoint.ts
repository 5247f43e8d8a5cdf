// A copy of a Stable Diffusion checkpoint whose UNet has inputs for a mask: another first convolution.
import { join, resolve } from "node:path";
import type { Goldens } from "../../goldens/golden.ts";

const TENSOR = "conv_in.weight";
const FILE = "diffusion_pytorch_model.safetensors";

/** A temporary folder of links, deleted on disposal. */
export class WidenedCheckpoint implements Disposable {
  readonly folder: string = Deno.makeTempDirSync();

  constructor(original: string, goldens: Goldens) {
    for (const { name } of Deno.readDirSync(original)) {
      if (name !== "unet") Deno.symlinkSync(resolve(original, name), join(this.folder, name));
    }
    Deno.mkdirSync(join(this.folder, "unet"));
    const config = JSON.parse(Deno.readTextFileSync(join(original, "unet/config.json")));
    const shape = goldens.shape(TENSOR);
    Deno.writeTextFileSync(
      join(this.folder, "unet/config.json"),
      JSON.stringify({ ...config, in_channels: shape[1] }),
    );
    const file = Deno.readFileSync(join(original, "unet", FILE));
    const data = new Uint8Array(goldens.floats(TENSOR).buffer);
    Deno.writeFileSync(join(this.folder, "unet", FILE), replaceTensor(file, { shape, data }));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

interface Entry {
  dtype: string;
  shape: readonly number[];
  data_offsets: [number, number];
}

/** Returns a safetensors file with another first convolution in float32. */
function replaceTensor(
  file: Uint8Array,
  { shape, data }: { shape: readonly number[]; data: Uint8Array },
): Uint8Array {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const body = file.subarray(8 + length);
  const header: Record<string, Entry> = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const own = name === TENSOR ? data : body.subarray(...entry.data_offsets);
    if (name === TENSOR) Object.assign(entry, { dtype: "F32", shape });
    entry.data_offsets = [end, end += own.length];
    parts.push(own);
  }
  const text = JSON.stringify(header);
  const head = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const written = new Uint8Array(8 + head.length + end);
  new DataView(written.buffer).setBigUint64(0, BigInt(head.length), true);
  written.set(head, 8);
  let at = 8 + head.length;
  for (const part of parts) {
    written.set(part, at);
    at += part.length;
  }
  return written;
}
