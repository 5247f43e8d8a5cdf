// Encodes a video that consists of a first frame, of zeros and perhaps of a last frame, as diffusers'
// image-to-video pipelines do (AutoencoderKLWan._encode). Where the zeros no longer change a part's output,
// the part is not run again.
import type { WanVaeEncoderPart } from "../graph/wan_vae/wan_vae_encoder.ts";
import { CACHED_FRAMES, NEXT } from "../graph/wan_vae/frame_cache.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";

export interface FrameEncoder {
  runtime: Runtime;
  parts: readonly { session: GraphSession; part: Pick<WanVaeEncoderPart, "caches" | "steadyAfter"> }[];
  /** Pixels along the side of a latent pixel. */
  spatial: number;
  /** Frames per latent frame, except the first. */
  temporal: number;
}

export interface FramesToEncode {
  first: DecodedImage;
  /** @default zeros, as between both */
  last?: DecodedImage | undefined;
  /** Latent frames of the video. */
  count: number;
  signal: AbortSignal | undefined;
}

/** Returns the means of the latents in the denoiser's scale, [channels, count, height, width]. */
export async function encodeFrames(
  { runtime, parts, spatial, temporal }: FrameEncoder,
  { first, last, count, signal }: FramesToEncode,
): Promise<Float32Array<ArrayBuffer>> {
  const size = { height: first.height / spatial, width: first.width / spatial };
  using owned = new DisposableStack();
  const states = parts.map(({ session, part }) => owned.use(new PartState(runtime, { session, part, size })));
  const frames = (count: number) => new Float32Array(count * 3 * first.height * first.width);
  const pixels = (data: Float32Array<ArrayBuffer>) =>
    runtime.tensor(
      "float32",
      [data.length / (3 * first.height * first.width), 3, first.height, first.width],
      data,
    );
  const encoded: Float32Array[] = [];
  for (let call = 0; call < count; call++) {
    const isLast = last !== undefined && call === count - 1 && call > 0;
    // The parts before this one give what they gave in the call before.
    const begin = isLast ? 0 : states.findIndex(({ part }) => call <= part.steadyAfter);
    if (begin === -1) {
      encoded.push(encoded.at(-1)!);
      continue;
    }
    let input: Tensor | undefined;
    if (begin === 0) {
      const data = call === 0 ? new Float32Array(first.data) : frames(temporal);
      if (isLast) data.set(last.data, data.length - last.data.length);
      input = owned.use(pixels(data));
    }
    for (const [index, state] of states.entries()) {
      if (index < begin) continue;
      await state.run(input ?? states[index - 1]!.output!, { isFirst: call === 0, signal });
      input = state.output!;
    }
    encoded.push(await states.at(-1)!.output!.as("float32").toArray());
  }
  const area = size.height * size.width;
  const channels = encoded[0]!.length / area;
  const latents = new Float32Array(channels * count * area);
  for (const [frame, values] of encoded.entries()) {
    for (let channel = 0; channel < channels; channel++) {
      latents.set(
        values.subarray(channel * area, (channel + 1) * area),
        (channel * count + frame) * area,
      );
    }
  }
  return latents;
}

interface PartOptions {
  session: GraphSession;
  part: Pick<WanVaeEncoderPart, "caches" | "steadyAfter">;
  /** Size of the latents. */
  size: { height: number; width: number };
}

/** A part of the encoder, the past frames that it keeps and its latest output. */
class PartState implements Disposable {
  readonly part: PartOptions["part"];
  readonly #runtime: Runtime;
  readonly #session: GraphSession;
  #past: Record<string, Tensor> = {};
  #output: Tensor | undefined;

  constructor(runtime: Runtime, { session, part, size }: PartOptions) {
    this.part = part;
    this.#runtime = runtime;
    this.#session = session;
    for (const { name, channels, scale } of part.caches) {
      const dims = [CACHED_FRAMES, channels, size.height * scale, size.width * scale];
      const zeros = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
      this.#past[name] = runtime.tensor("float32", dims, zeros);
    }
  }

  /** The output of the latest call. */
  get output(): Tensor | undefined {
    return this.#output;
  }

  async run(
    frames: Tensor,
    { isFirst, signal }: { isFirst: boolean; signal: AbortSignal | undefined },
  ): Promise<void> {
    using first = this.#runtime.tensor("int64", [1], BigInt64Array.of(isFirst ? 1n : 0n));
    const results = await this.#session.run({ frames, first, ...this.#past }, signal && { signal });
    this[Symbol.dispose]();
    this.#past = Object.fromEntries(
      this.part.caches.map(({ name }) => [name, results[`${NEXT}${name}`]!]),
    );
    this.#output = results["frames_out"] ?? results["mean"]!;
  }

  [Symbol.dispose](): void {
    for (const tensor of Object.values(this.#past)) tensor[Symbol.dispose]();
    this.#past = {};
    this.#output?.[Symbol.dispose]();
    this.#output = undefined;
  }
}
