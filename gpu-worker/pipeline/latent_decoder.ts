// Decodes final latents: AutoencoderKL makes a picture, a video family's own autoencoder makes a video.
import type { AutoencoderKLConfig } from "../graph/autoencoder_kl/autoencoder_kl_config.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import { assertFinite, type Runtime, type ValueSource } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import { collectVideo, type CollectVideoOptions } from "../vae/collect_video.ts";
import { decodeLatents } from "../vae/decode_latents.ts";
import type { LatentScale } from "../vae/latent_scale.ts";
import { previewLatents } from "../vae/preview_latents.ts";
import { tiledDecoder } from "../vae/tiled_decoder.ts";
import { videoLatents } from "../vae/video_latents.ts";
import type { VideoToDecode } from "../vae/video_to_decode.ts";
import type { GenerateResult } from "./pipeline.ts";

export interface FinalLatents extends VideoToDecode {
  data: Float32Array<ArrayBuffer>;
}

export interface LatentDecoder {
  decode(
    latents: FinalLatents,
    request: CollectVideoOptions,
  ): Promise<Pick<GenerateResult, "image" | "video">>;
  /** Decodes a small version of the latents: the picture, or a video's middle frame. */
  preview(latents: FinalLatents): Promise<DecodedImage>;
}

/** Longest side of a preview, in pixels. */
const MAX_PREVIEW_SIDE = 256;

export interface PictureDecoderOptions {
  runtime: Runtime;
  vaeTiling?: boolean;
  reading: { vaeConfig: AutoencoderKLConfig; latentScale: LatentScale };
  session: GraphSession;
}

/** Autoencoders compute in float32, whatever the compute type. */
export const VAE: ValueSource = { component: "vae", dtype: "float32" };

/** Returns a decoder that turns latents into one picture with AutoencoderKL. */
export function pictureDecoder(
  { runtime, vaeTiling, reading, session }: PictureDecoderOptions,
): LatentDecoder {
  const { vaeConfig: config, latentScale } = reading;
  const vae = tiledDecoder(session, {
    runtime,
    config,
    scale: latentScale.spatial,
    ...vaeTiling !== undefined && { vaeTiling },
  });
  return sessionDecoder(vae, { runtime, latentScale });
}

/**
 * Returns a decoder that turns latents into one picture.
 * @param vae latent [1, channels, h, w] -> sample [1, 3, f h, f w]
 */
export function sessionDecoder(
  vae: GraphSession,
  { runtime, latentScale: { spatial } }: { runtime: Runtime; latentScale: LatentScale },
): LatentDecoder {
  const decode = async (
    latents: { dims: readonly number[]; data: Float32Array<ArrayBuffer> },
    signal?: AbortSignal,
  ) => {
    const image = await decodeLatents({ runtime, vae }, { ...latents, ...signal && { signal } });
    assertFinite(image.data, VAE);
    return image;
  };
  return {
    decode: async ({ size: { channels, height, width }, data, signal }) => ({
      image: await decode({ dims: [channels, height, width], data }, signal),
    }),
    preview: ({ size, data, signal }) =>
      decode(previewLatents(data, size, MAX_PREVIEW_SIDE / spatial), signal),
  };
}

/**
 * Returns a decoder of videos.
 * @param decodeFrames yields the frames in order; each is valid until the next one is requested
 */
export function videoDecoder(
  decodeFrames: (video: VideoToDecode) => AsyncIterable<DecodedImage>,
  { spatial }: LatentScale,
): LatentDecoder {
  async function* frames(video: VideoToDecode): AsyncGenerator<DecodedImage> {
    for await (const frame of decodeFrames(video)) {
      assertFinite(frame.data, VAE);
      yield frame;
    }
  }
  return {
    decode: (video, request) => collectVideo(frames(video), request),
    async preview({ size, data, signal }) {
      // A later latent frame holds several frames, as changes to the
      // latent frame before it. The decoder therefore needs both.
      const middle = size.frames >> 1;
      const from = Math.max(0, middle - 1);
      const count = middle + 1 - from;
      const part = videoLatents(data, { size, from, to: middle + 1 });
      const planes = { channels: size.channels * count, height: size.height, width: size.width };
      const small = previewLatents(part, planes, MAX_PREVIEW_SIDE / spatial);
      const [, height, width] = small.dims as [number, number, number];
      const video = {
        size: { channels: size.channels, frames: count, height, width },
        data: small.data,
        signal,
      };
      let last: DecodedImage | undefined;
      for await (const frame of frames(video)) last = { ...frame, data: frame.data.slice() };
      return last!;
    },
  };
}
