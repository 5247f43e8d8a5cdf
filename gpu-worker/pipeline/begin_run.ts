// Sampling begins in noise, or in an image's latents under noise. Random numbers are drawn in diffusers'
// order: the encoder's posterior first, then the noise, then whatever the solver draws.
import type { DecodedImage } from "../media/decoded_image.ts";
import { laterSteps, maskedSolver, type Solver, type TorchGenerator } from "../../sampler/mod.ts";
import type { ImageEncoder } from "../vae/image_encoder.ts";
import type { VideoSize } from "../vae/video_size.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import type { LatentPacking, MaskInput } from "./family.ts";
import { isMasked, latentMask } from "./latent_mask.ts";
import type { StartPicture } from "./start_picture.ts";

export interface BeginRunOptions {
  request: Pick<GenerateRequest, "startImage" | "width" | "height">;
  /** How the denoiser sees the mask and the masked image. @default it sees none */
  maskInput: MaskInput | undefined;
  /** The picture to draw over. Set if the request has a start image. */
  start: StartPicture | undefined;
  /** The solver of the whole schedule. */
  solver: Solver;
  size: VideoSize;
  /** @default no packing */
  packing: LatentPacking | undefined;
  /** Seeded with the request's seed; nothing has been drawn from it yet. */
  generator: TorchGenerator;
  /** The VAE's encoder. Undefined where the checkpoint cannot start from an image. */
  encoder: ImageEncoder | undefined;
  signal: AbortSignal | undefined;
}

export interface Beginning {
  /** A solver of the steps that remain to run. */
  solver: Solver;
  /** In the form that the denoiser works on. */
  latents: Float32Array<ArrayBuffer>;
  /** The mask and the masked image's latents, for denoisers that see them. */
  masked?: Float32Array;
}

/** Returns the latents and the solver that a run starts with. */
export async function beginRun(options: BeginRunOptions): Promise<Beginning> {
  if (options.maskInput) return await beginMasked({ ...options, maskInput: options.maskInput });
  const { request: { startImage }, start, solver, size, packing, generator, encoder, signal } = options;
  const draw = (count: number) => generator.randn(count);
  const pack = (latents: Float32Array<ArrayBuffer>) => packing?.pack(latents, size) ?? latents;
  const count = size.channels * size.frames * size.height * size.width;
  if (startImage === undefined || start === undefined) {
    return { solver, latents: pack(scaled(draw(count), solver)) };
  }
  const original = pack(await encoder!.encode(start.image, { noise: draw, signal }));
  const noise = pack(draw(count));
  const later = laterSteps(solver, startImage.firstStep);
  if (start.mask === undefined) return { solver: later, latents: later.addNoise(0, original, noise) };
  // diffusers draws once more, for the masked image, which only networks with inputs for it see.
  draw(count);
  const latents = startImage.strength === 1
    ? scaled(noise.slice(), solver)
    : later.addNoise(0, original, noise);
  const mask = pack(latentMask(start.mask, size));
  return { solver: maskedSolver(later, { original, noise, mask }), latents };
}

/**
 * Begins a run whose denoiser sees the mask, so that nothing is put back between steps. Without a mask it
 * draws the whole picture, without an image over grey.
 */
async function beginMasked(options: BeginRunOptions & { maskInput: MaskInput }): Promise<Beginning> {
  const { request: { startImage, width, height }, start, solver, size, packing, generator, encoder, signal } =
    options;
  const { arrange, encodesAlways } = options.maskInput;
  const draw = (count: number) => generator.randn(count);
  const encode = (image: DecodedImage) => encoder!.encode(image, { noise: draw, signal });
  const { strength = 1, firstStep = 0 } = startImage ?? {};
  const pack = (latents: Float32Array<ArrayBuffer>) => packing?.pack(latents, size) ?? latents;
  const original = start && (strength < 1 || encodesAlways) ? pack(await encode(start.image)) : undefined;
  const noise = pack(draw(size.channels * size.height * size.width));
  const later = laterSteps(solver, firstStep);
  const latents = original ? later.addNoise(0, original, noise) : scaled(noise, solver);
  const area = width * height;
  const mask = start?.mask ?? new Uint8Array(area).fill(255);
  const data = new Float32Array(3 * area);
  if (start) {
    for (let i = 0; i < data.length; i++) if (!isMasked(mask[i % area]!)) data[i] = start.image.data[i]!;
  }
  const image = await encode({ width, height, data });
  return { solver: later, latents, masked: arrange({ mask, image, size }) };
}

function scaled(noise: Float32Array<ArrayBuffer>, { initNoiseSigma }: Solver): Float32Array<ArrayBuffer> {
  const scale = Math.fround(initNoiseSigma);
  for (let i = 0; i < noise.length; i++) noise[i]! *= scale;
  return noise;
}
