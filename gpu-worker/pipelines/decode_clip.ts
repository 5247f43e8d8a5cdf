// A causal video VAE run piece by piece: memory holds one piece and what the next one needs of the past, however long the
// clip is.
import { CACHED_FRAMES, type FrameCacheSlot, NEXT } from "../graph/layers/frame_cache.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import { clipLatents } from "./clip_latents.ts";
import type { ClipSize } from "./clip_size.ts";
import type { GraphSession } from "./session_loader.ts";

export interface ClipDecoder {
  runtime: Runtime;
  /** A graph as `autoencoderKLWanDecoder` builds it. */
  vae: GraphSession;
  caches: readonly FrameCacheSlot[];
}

export interface ClipLatents {
  size: ClipSize;
  /** [channels, frames, height, width] in the denoiser's scale. */
  data: Float32Array;
  signal?: AbortSignal | undefined;
}

/**
 * Yields a clip's frames in order, not clamped. The data of a frame is valid until the next one is asked for: copies would
 * be garbage of the size of the clip.
 * @throws the signal's reason, once it is aborted.
 */
export async function* decodeClip(
  { runtime, vae, caches }: ClipDecoder,
  { size, data, signal }: ClipLatents,
): AsyncGenerator<DecodedImage> {
  const { channels, frames, height, width } = size;
  using stack = new DisposableStack();
  const held: { past: Record<string, Tensor> } = { past: {} };
  stack.defer(() => release(held.past));
  for (const { name, channels, scale } of caches) {
    const dims = [CACHED_FRAMES, channels, height * scale, width * scale];
    const zeros = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
    held.past[name] = runtime.tensor("float32", dims, zeros);
  }
  for (let frame = 0; frame < frames; frame++) {
    const planes = clipLatents(data, { size, from: frame, to: frame + 1 });
    using latent = runtime.tensor("float32", [1, channels, height, width], planes);
    using first = runtime.tensor("int64", [1], BigInt64Array.of(frame === 0 ? 1n : 0n));
    const results = await vae.run({ latent, first, ...held.past }, signal && { signal });
    using sample = results["sample"]!;
    release(held.past);
    held.past = Object.fromEntries(caches.map(({ name }) => [name, results[`${NEXT}${name}`]!]));
    const [, , rows, columns] = sample.dims as [number, number, number, number];
    const values = sample.as("float32");
    const pixels = sample.location === "cpu" ? values.data() : await values.toArray();
    const length = 3 * rows * columns;
    for (let start = 0; start < pixels.length; start += length) {
      yield { width: columns, height: rows, data: pixels.subarray(start, start + length) };
    }
  }
}

function release(tensors: Record<string, Tensor>): void {
  for (const tensor of Object.values(tensors)) tensor[Symbol.dispose]();
}
