// Encodes the image that a HunyuanVideo begins with (prepare_latents of diffusers'
// HunyuanVideoImageToVideoPipeline).
import { decodeFrame } from "../../media/decode_frame.ts";
import type { DecodedImage } from "../../media/decoded_image.ts";
import type { LoadedFrames } from "../../pipeline/family.ts";
import type { FrameCondition, FramesToPrepare, PrepareFrames } from "../../pipeline/frame_condition.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { GraphSession } from "../../session/session_loader.ts";
import type { VideoSize } from "../../vae/video_size.ts";
import type { HunyuanVideoImageCheckpoint } from "./hunyuan_video_image_checkpoint.ts";

/** Returns the encoder of a checkpoint's first frames. */
export function prepareHunyuanVideoFrames(
  { runtime, reading: { config }, graphs, later }: LoadedFrames<HunyuanVideoImageCheckpoint>,
): PrepareFrames {
  const session = later(graphs.frameEncoder);
  return async ({ frames, size, width, height, signal }: FramesToPrepare): Promise<FrameCondition> => {
    const { bytes } = frames!.first.file!;
    const frame = await decodeFrame(bytes, { width, height, field: "input_reference" });
    const image = await encode(frame, { runtime, session, signal });
    return {
      begin: (noise) => nearImage(noise, { image, size }),
      ...config.imageCondition === "token_replace" ? { held: image } : { channels: withMask(image, size) },
    };
  };
}

/** Returns the image's latents, [channels, height, width]. */
async function encode(
  { width, height, data }: DecodedImage,
  { runtime, session, signal }: { runtime: Runtime; session: GraphSession; signal: AbortSignal | undefined },
): Promise<Float32Array> {
  using frame = runtime.tensor("float32", [1, 3, height, width], new Float32Array(data));
  const { mean } = await session.run({ frame }, signal && { signal });
  using latents = mean!;
  return await latents.as("float32").toArray();
}

/** diffusers' share of the noise in the initial latents, in float32. */
const NOISE_SHARE = Math.fround(0.999);
const IMAGE_SHARE = Math.fround(1 - NOISE_SHARE);

/** Returns the noise mixed with a little of the image in every frame. */
function nearImage(
  noise: Float32Array,
  { image, size: { frames, height, width } }: { image: Float32Array; size: VideoSize },
): Float32Array<ArrayBuffer> {
  const area = height * width;
  return Float32Array.from(noise, (value, i) => {
    const channel = Math.floor(i / (frames * area));
    const still = Math.fround(image[channel * area + i % area]! * IMAGE_SHARE);
    return Math.fround(value * NOISE_SHARE) + still;
  });
}

/**
 * Returns the channels that the denoiser sees beside its latents: the image's latents in the first frame and
 * zeros, then a mask that is 1 in the first frame.
 */
function withMask(image: Float32Array, { channels, frames, height, width }: VideoSize): Float32Array {
  const area = height * width;
  const planes = new Float32Array((channels + 1) * frames * area);
  for (let channel = 0; channel < channels; channel++) {
    planes.set(image.subarray(channel * area, (channel + 1) * area), channel * frames * area);
  }
  planes.fill(1, channels * frames * area, (channels * frames + 1) * area);
  return planes;
}
