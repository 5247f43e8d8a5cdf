// The VAE encoder of a checkpoint. Only image to image needs it, so it is loaded with the first image.
import type { DecodedImage } from "../media/decoded_image.ts";
import type { Runtime, Session } from "../runtime/mod.ts";

export interface EncodeImageOptions {
  /** Draws `count` standard normal values. */
  noise: (count: number) => Float32Array;
  signal?: AbortSignal | undefined;
}

export class ImageEncoder implements Disposable {
  readonly #runtime: Runtime;
  readonly #loadSession: () => Promise<Session>;
  /** The load that the first image has started; other images wait for it. */
  #loading: Promise<Session> | undefined;
  #session: Session | undefined;

  /** @param load loads the encoder's graph */
  constructor(runtime: Runtime, load: () => Promise<Session>) {
    this.#runtime = runtime;
    this.#loadSession = load;
  }

  /**
   * Draws latents from the VAE's posterior for `image`, as diffusers' pipelines do.
   * @returns the latents in the denoiser's scale, [channels, height / f, width / f], in their own memory
   */
  async encode(
    { width, height, data }: DecodedImage,
    { noise, signal }: EncodeImageOptions,
  ): Promise<Float32Array<ArrayBuffer>> {
    const session = this.#session ??= await this.#load();
    const dims = [1, data.length / (height * width), height, width];
    using sample = this.#runtime.tensor("float32", dims, new Float32Array(data));
    const outputs = await session.run({ sample }, signal && { signal });
    using mean = outputs["mean"]!;
    using std = outputs["std"]!;
    const latents = await mean.as("float32").toArray();
    const deviations = await std.as("float32").toArray();
    const draws = noise(latents.length);
    for (let i = 0; i < latents.length; i++) latents[i]! += Math.fround(deviations[i]! * draws[i]!);
    return latents;
  }

  async #load(): Promise<Session> {
    this.#loading ??= this.#loadSession();
    try {
      return await this.#loading;
    } finally {
      this.#loading = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#session?.[Symbol.dispose]();
  }
}
