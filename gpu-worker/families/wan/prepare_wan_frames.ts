// Encodes the frames that a Wan video begins and ends with (prepare_latents and encode_image of diffusers'
// WanImageToVideoPipeline).
import { type DecodedFrame, decodeFrame } from "../../media/decode_frame.ts";
import type { ImageFieldName } from "../../media/image_error.ts";
import type { LoadedFrames } from "../../pipeline/family.ts";
import type { FrameCondition, FramesToPrepare, PrepareFrames } from "../../pipeline/frame_condition.ts";
import type { FrameImage } from "../../request/video_frames.ts";
import { encodeFrames } from "../../vae/encode_frames.ts";
import type { VideoSize } from "../../vae/video_size.ts";
import type { WanVaeEncoderPart } from "../../graph/wan_vae/wan_vae_encoder.ts";
import type { WanCheckpoint, WanGraphs } from "./wan_checkpoint.ts";

/** Returns the encoder of a checkpoint's frames. */
export function prepareWanFrames(
  { runtime, reading, graphs, later }: LoadedFrames<WanCheckpoint>,
): PrepareFrames | undefined {
  const { rules, config, latentScale: { spatial, temporal = 1 }, vision: pixels } = reading;
  if (rules.video?.frames === undefined) return undefined;
  const encoder = {
    runtime,
    spatial,
    temporal,
    parts: partsOf(graphs).map((part) => ({ part, session: later(part) })),
  };
  const vision = graphs.vision && later(graphs.vision);
  return async ({ frames, size, width, height, signal }: FramesToPrepare): Promise<FrameCondition> => {
    // The network makes videos from text too.
    if (frames === undefined) return {};
    const decode = ({ file }: FrameImage, field: ImageFieldName) =>
      decodeFrame(file!.bytes, { width, height, field, vision: pixels });
    const first = await decode(frames.first, "input_reference");
    if (config.frameTimesteps) {
      return { held: await encodeFrames(encoder, { first, count: 1, signal }) };
    }
    const last = frames.last && await decode(frames.last, "last_frame");
    const latents = await encodeFrames(encoder, { first, last, count: size.frames, signal });
    const states = vision &&
      await lookAt([first, ...last ? [last] : []], { runtime, session: vision, signal });
    return {
      channels: withMask(latents, { size, temporal, hasLast: last !== undefined }),
      ...states && { states },
    };
  };
}

function partsOf(graphs: WanGraphs): WanVaeEncoderPart[] {
  const parts: WanVaeEncoderPart[] = [];
  for (let part = graphs.frames0; part !== undefined; part = graphs[`frames${parts.length}`]) {
    parts.push(part);
  }
  return parts;
}

/** Returns the vision encoder's states of the pictures, one after the other. */
async function lookAt(
  frames: readonly DecodedFrame[],
  { runtime, session, signal }:
    & Pick<LoadedFrames<WanCheckpoint>, "runtime">
    & Pick<FramesToPrepare, "signal">
    & { session: ReturnType<LoadedFrames<WanCheckpoint>["later"]> },
): Promise<Float32Array> {
  const length = frames[0]!.vision!.length;
  const data = new Float32Array(frames.length * length);
  for (const [i, { vision }] of frames.entries()) data.set(vision!, i * length);
  const side = Math.sqrt(length / 3);
  using pixels = runtime.tensor("float32", [frames.length, 3, side, side], data);
  const { hidden_states } = await session.run({ pixel_values: pixels }, signal && { signal });
  using states = hidden_states!;
  return await states.as("float32").toArray();
}

/**
 * Returns the channels that the denoiser sees beside its latents: for each frame of a latent frame, whether
 * it is given, then the given latents. The first frame counts as the `temporal` frames of its latent frame.
 */
function withMask(
  latents: Float32Array,
  { size, temporal, hasLast }: { size: VideoSize; temporal: number; hasLast: boolean },
): Float32Array {
  const { frames, height, width } = size;
  const area = height * width;
  const mask = temporal * frames * area;
  const channels = new Float32Array(mask + latents.length);
  for (let place = 0; place < temporal; place++) {
    channels.fill(1, place * frames * area, (place * frames + 1) * area);
  }
  if (hasLast) channels.fill(1, mask - area, mask);
  channels.set(latents, mask);
  return channels;
}
