// The components of a Wan checkpoint: their configs, checked against each other.
import { z } from "zod";
import { assertFit } from "../../checkpoint/assert_fit.ts";
import type { Checkpoint, Component } from "../../checkpoint/checkpoint.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { readClipImageProcessor } from "../../checkpoint/clip_image_processor.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { parseT5Config } from "../../graph/text_encoders/t5_encoder.ts";
import { clipVisionTokens, parseClipVisionConfig } from "../../graph/vision_encoders/clip_vision_encoder.ts";
import { parseAutoencoderKLWanConfig, type WanVaeConfig } from "../../graph/wan_vae/wan_vae_config.ts";
import type { ClipPixelsOptions } from "../../media/clip_pixels.ts";
import { parseWanTransformerConfig, type WanTransformerConfig } from "./wan_config.ts";

export interface WanParts {
  transformer: Component;
  /** The second expert, which takes over below the boundary. Undefined if there is none. */
  second: Component | undefined;
  vae: Component;
  t5: Component;
  vision: WanVision | undefined;
  config: WanTransformerConfig;
  vaeConfig: WanVaeConfig;
  /** Share of the training timesteps below which the second expert takes over. */
  boundaryRatio: number | undefined;
  /** Where the network takes given frames: nowhere, beside its latents, or among them (expand_timesteps). */
  frames: "none" | "beside" | "among";
}

/** The vision encoder, whose states the network reads beside the text. */
export interface WanVision {
  component: Component;
  pixels: ClipPixelsOptions;
  /** Tokens of all its frames. */
  tokens: number;
}

export const WAN_TEXT_CLASS = "UMT5EncoderModel";
/** Options of WanPipeline itself, in model_index.json. */
const WAN22 = z.strictObject({
  boundary_ratio: z.number().min(0).max(1).nullable().default(null),
  expand_timesteps: z.boolean().nullish().transform((value) => value === true),
});

/**
 * Opens the components and checks that they fit.
 * @throws {CheckpointError} if one is missing, damaged or unsupported.
 */
export function readWanParts(checkpoint: Checkpoint): WanParts {
  const { boundaryRatio, expandTimesteps } = readWan22(checkpoint);
  const isBeside = checkpoint.pipelineClass === "WanImageToVideoPipeline" && !expandTimesteps;
  const frames = expandTimesteps ? "among" : isBeside ? "beside" : "none";
  checkpoint.requireClass("transformer", "WanTransformer3DModel");
  checkpoint.requireClass("vae", "AutoencoderKLWan");
  checkpoint.requireClass("scheduler", "UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", WAN_TEXT_CLASS);
  const transformer = checkpoint.component("transformer", "diffusion_pytorch_model");
  const vae = checkpoint.component("vae", "diffusion_pytorch_model");
  const t5 = checkpoint.component("text_encoder", "model");

  const config = { ...parseWanTransformerConfig(transformer.config), frameTimesteps: expandTimesteps };
  const vaeConfig = parseAutoencoderKLWanConfig(vae.config, "vae/config.json");
  const { d_model } = parseT5Config(t5.config, { name: t5.name, className: WAN_TEXT_CLASS });
  assertFit("text_dim", { value: config.textDim, expected: d_model, of: "the text encoder's 'd_model'" });
  requireChannels(config, { vaeConfig, isBeside });
  const vision = readVision(checkpoint, config);
  if (frames !== "none" && !vaeConfig.hasEncoder) {
    throw new CheckpointError(
      "Cannot use vae/config.json as 'attn_scales' must be empty to encode given frames",
    );
  }
  if (frames === "among") {
    // The pipeline writes a timestep for each patch of 2x2. Those of a frame are equal.
    for (const value of [config.patchHeight, config.patchWidth]) {
      assertFit("patch_size", { value, expected: 2, of: "2 under 'expand_timesteps'" });
    }
  }
  // Without a boundary diffusers never calls the second transformer.
  const second = boundaryRatio === undefined ? undefined : readSecond(checkpoint, config);
  return { transformer, second, vae, t5, vision, config, vaeConfig, boundaryRatio, frames };
}

/** @throws {CheckpointError} if the transformer's channels are not those of the pipeline class. */
function requireChannels(
  { inChannels, outChannels }: WanTransformerConfig,
  { vaeConfig: { latentChannels, temporalScale }, isBeside }: { vaeConfig: WanVaeConfig; isBeside: boolean },
): void {
  assertFit("out_channels", {
    value: outChannels,
    expected: latentChannels,
    of: "the autoencoder's 'z_dim'",
  });
  assertFit("in_channels", {
    value: inChannels,
    expected: isBeside ? 2 * outChannels + temporalScale : outChannels,
    of: isBeside
      ? "the latents, a mask and the given frames' latents"
      : "'out_channels', as networks for image to video have more",
  });
}

/** Reads what Wan2.2 adds to WanPipeline. */
function readWan22(checkpoint: Checkpoint): { boundaryRatio: number | undefined; expandTimesteps: boolean } {
  const { boundary_ratio, expand_timesteps } = parseConfig(
    WAN22,
    pick(checkpoint.json("model_index.json"), Object.keys(WAN22.shape)),
    { className: "WanPipeline", path: checkpoint.path("model_index.json") },
  );
  return { boundaryRatio: boundary_ratio ?? undefined, expandTimesteps: expand_timesteps };
}

function pick(json: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(json).filter(([key]) => keys.includes(key)));
}

function readVision(
  checkpoint: Checkpoint,
  { imageDim, imagePositions }: WanTransformerConfig,
): WanVision | undefined {
  if (imageDim === undefined) return undefined;
  checkpoint.requireClass("image_encoder", "CLIPVisionModel");
  const component = checkpoint.component("image_encoder", "model");
  const config = parseClipVisionConfig(component.config, "image_encoder/config.json");
  const { hidden_size, image_size: side } = config;
  assertFit("image_dim", {
    value: imageDim,
    expected: hidden_size,
    of: "the vision encoder's 'hidden_size'",
  });
  if (imagePositions !== undefined) {
    assertFit("pos_embed_seq_len", {
      value: imagePositions,
      expected: 2 * clipVisionTokens(config),
      of: "twice the vision encoder's tokens",
    });
  }
  const pixels = readClipImageProcessor(checkpoint, { side });
  return { component, pixels, tokens: imagePositions ?? clipVisionTokens(config) };
}

/** Returns the second expert, whose config must be the first one's. */
function readSecond(
  checkpoint: Checkpoint,
  { frameTimesteps: _, ...first }: WanTransformerConfig,
): Component {
  const name = "transformer_2";
  checkpoint.requireClass(name, "WanTransformer3DModel");
  const second = checkpoint.component(name, "diffusion_pytorch_model");
  const config = parseWanTransformerConfig(second.config, `${name}/config.json`);
  for (const key of Object.keys(first) as (keyof typeof first)[]) {
    if (config[key] === first[key]) continue;
    throw new CheckpointError(
      `Cannot use ${name}/config.json as its ${key} must be the first transformer's (${first[key]}), but is ${
        config[key]
      }`,
    );
  }
  return second;
}
