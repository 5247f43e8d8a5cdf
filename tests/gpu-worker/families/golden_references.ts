// The references of recorded calls, as the files that a client sends.
import sharp from "sharp";
import type { ReferenceImage } from "../../../gpu-worker/request/references.ts";
import type { Goldens } from "../../goldens/golden.ts";

/** Returns the references by name: "NAME" is the tensor input.NAME.pixels [height, width, channels]. */
export async function goldenReferences(
  goldens: Goldens,
  names: readonly string[],
): Promise<ReferenceImage[]> {
  return await Promise.all(names.map(async (name) => {
    const [height, width, channels] = goldens.shape(`input.${name}.pixels`) as [number, number, 3 | 4];
    const pixels = Uint8Array.from(goldens.ints(`input.${name}.pixels`));
    const bytes = await sharp(pixels, { raw: { width, height, channels } }).png().toBuffer();
    return { width, height, file: { bytes: new Uint8Array(bytes), sha256: name } };
  }));
}
