// Sampling begins in noise, or in an image's latents under noise. Random numbers are drawn in diffusers'
// order: the encoder's posterior first, then the noise, then whatever the solver draws.
import { laterSteps, type Solver, type TorchGenerator } from "../../sampler/mod.ts";
import type { ImageEncoder } from "../vae/image_encoder.ts";
import type { VideoSize } from "../vae/video_size.ts";
import type { GenerateRequest } from "../request/generate_request.ts";

export interface BeginRunOptions {
  request: Pick<GenerateRequest, "startImage">;
  /** The solver of the whole schedule. */
  solver: Solver;
  size: VideoSize;
  /** Seeded with the request's seed; nothing has been drawn from it yet. */
  generator: TorchGenerator;
  /** The VAE's encoder. Undefined where the checkpoint cannot start from an image. */
  encoder: ImageEncoder | undefined;
  signal: AbortSignal | undefined;
}

export interface Beginning {
  /** A solver of the steps that remain to run. */
  solver: Solver;
  /** [channels, frames, height, width] */
  latents: Float32Array<ArrayBuffer>;
}

/** Returns the latents and the solver that a run starts with. */
export async function beginRun(options: BeginRunOptions): Promise<Beginning> {
  const { request: { startImage }, solver, size, generator, encoder, signal } = options;
  const draw = (count: number) => generator.randn(count);
  const count = size.channels * size.frames * size.height * size.width;
  if (startImage === undefined) {
    const noise = draw(count);
    const scale = Math.fround(solver.initNoiseSigma);
    for (let i = 0; i < count; i++) noise[i]! *= scale;
    return { solver, latents: noise };
  }
  const original = await encoder!.encode(startImage.image, { noise: draw, signal });
  const later = laterSteps(solver, startImage.firstStep);
  return { solver: later, latents: later.addNoise(0, original, draw(count)) };
}
