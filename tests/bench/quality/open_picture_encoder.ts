// The VAE encoder of a FLUX checkpoint by itself.
import { Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { ImageEncoder } from "../../../gpu-worker/vae/image_encoder.ts";
import { readModel } from "../../../gpu-worker/model/read_model.ts";
import type { EncodePicture } from "./recognizer.ts";

export interface PictureEncoder extends Disposable {
  encode: EncodePicture;
}

/** @throws {TypeError} if the checkpoint has no encoder. */
export function openPictureEncoder(model: string, threads: number): PictureEncoder {
  const { vaeEncoder } = readModel(model).graphs;
  if (vaeEncoder === undefined) throw new TypeError(`Cannot encode pictures as ${model} has no VAE encoder`);
  const runtime = Runtime.open({ provider: "cpu", intraOpThreads: threads });
  const encoder = new ImageEncoder(runtime, () => runtime.createSession(vaeEncoder));
  return {
    // Without noise these are the posterior's means.
    encode: (image) => encoder.encode(image, { noise: (count) => new Float32Array(count) }),
    [Symbol.dispose]() {
      encoder[Symbol.dispose]();
      runtime[Symbol.dispose]();
    },
  };
}
