// Prepares a run up to its first step: everything that the denoiser sees besides latents is encoded, and the
// noise is drawn. Random numbers are drawn in the order in which diffusers' pipelines draw them.
import { deriveScheduler, type Solver, TorchGenerator } from "../../sampler/mod.ts";
import { schedulerError } from "../request/complete_scheduler.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { assertFinite } from "../runtime/mod.ts";
import type { EncodedPrompt } from "../text/encoded_prompt.ts";
import type { ImageEncoder } from "../vae/image_encoder.ts";
import { latentsOf } from "../vae/video_size.ts";
import { beginRun } from "./begin_run.ts";
import { prepareControl } from "./control_net.ts";
import { encodeReferences } from "./encode_references.ts";
import type { Family, FamilyReading, PreparedRun } from "./family.ts";
import type { PrepareFrames } from "./frame_condition.ts";
import { VAE } from "./latent_decoder.ts";
import { type StartPicture, startPicture } from "./start_picture.ts";

export interface PrepareRunOptions {
  family: Family;
  reading: FamilyReading;
  /** The encoded prompt and, under classifier-free guidance, the negative one. */
  branches: readonly EncodedPrompt[];
  /** The VAE's encoder. Undefined where the checkpoint takes no image. */
  encoder: ImageEncoder | undefined;
  /** Encodes a video's given frames. Undefined where the checkpoint takes none. */
  prepareFrames: PrepareFrames | undefined;
  signal: AbortSignal | undefined;
}

/** A run that is ready to be sampled. */
export interface ReadyRun {
  run: PreparedRun;
  /** The steps that remain to run. */
  solver: Solver;
  /** Latents before the first step. */
  initial: Float32Array<ArrayBuffer>;
  /** The picture that the run draws over. */
  start: StartPicture | undefined;
}

/**
 * Prepares the run of `request`.
 * @throws {OptionError} if the scheduler that the request asks for does not suit the family
 * @throws {NotFiniteError} if an encoder's output is not finite.
 */
export async function prepareRun(
  request: GenerateRequest,
  { family, reading, branches, encoder, prepareFrames, signal }: PrepareRunOptions,
): Promise<ReadyRun> {
  const { packing } = family;
  const size = latentsOf(reading.latentScale, request);
  const generator = new TorchGenerator(request.seed);
  const noise = (count: number) => generator.randn(count);
  const whole = requestedSolver(family, { request, reading, size, noise });
  const references = request.references && await encodeReferences(request.references, {
    decode: (reference) => family.referencePicture!(reference, reading),
    packing: packing!,
    latentScale: reading.latentScale,
    encoder: encoder!,
    signal,
  });
  const start = request.startImage && await startPicture(request.startImage, request);
  const control = request.control && await prepareControl(request.control, {
    controls: family.controls!,
    size,
    packing,
    encoder,
    noise,
    signal,
  });
  if (control) assertFinite(control.hint.data, VAE);
  const { solver, latents, masked } = await beginRun({
    request,
    maskInput: reading.maskInputs ? family.maskInput : undefined,
    start,
    solver: whole,
    size,
    packing,
    generator,
    encoder,
    signal,
  });
  if (start) assertFinite(latents, VAE);
  if (masked) assertFinite(masked, VAE);
  const { frames, width, height } = request;
  const condition = await prepareFrames?.({ frames, size, width, height, signal });
  for (const values of [condition?.channels, condition?.held]) if (values) assertFinite(values, VAE);
  return {
    run: { request, branches, size, masked, references, control, condition },
    solver,
    initial: condition?.begin?.(latents) ?? latents,
    start,
  };
}

/**
 * Creates the solver of the whole schedule: the checkpoint's, or the one that the request asks for.
 * @throws {OptionError} if that does not take what the family's pipeline passes
 */
function requestedSolver(
  family: Family,
  { request, reading, ...options }: { request: GenerateRequest } & Parameters<Family["solver"]>[1],
): Solver {
  if (request.scheduler === undefined) return family.solver(request, { reading, ...options });
  try {
    const scheduler = deriveScheduler(reading.scheduler, request.scheduler);
    return family.solver(request, { reading: { ...reading, scheduler }, ...options });
  } catch (cause) {
    throw schedulerError(cause);
  }
}
