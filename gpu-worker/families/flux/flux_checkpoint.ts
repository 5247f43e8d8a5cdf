// Reads a FLUX checkpoint: scheduler, defaults, rules, and the function that builds its
// graphs. Nothing is loaded on a device.
import {
  type AutoencoderKLConfig,
  parseAutoencoderKLConfig,
} from "../../graph/autoencoder_kl/autoencoder_kl_config.ts";
import { autoencoderKLDecoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_decoder.ts";
import { autoencoderKLEncoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_encoder.ts";
import { withLatentNumbers } from "../../graph/autoencoder_kl/with_latent_numbers.ts";
import { clipTextEncoderGraph } from "../../graph/text_encoders/clip_text_encoder.ts";
import { type FluxTransformerConfig, parseFluxTransformerConfig } from "./flux_config.ts";
import { PATCH } from "../../pipeline/patch_packing.ts";
import { readFluxControlNet } from "./flux_control_net.ts";
import { kontextReferences } from "./kontext_references.ts";
import { fluxTransformerGraphs } from "./flux_transformer.ts";
import type { FluxBlocksOptions } from "../../graph/flux_blocks.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { t5EncoderGraph } from "../../graph/text_encoders/t5_encoder.ts";
import type { DType } from "../../runtime/dtype.ts";
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { decodingSize } from "../../vae/decoding_size.ts";
import { controlGraphs, controlNetRules } from "../../pipeline/control_net.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";

export interface FluxCheckpoint extends FamilyReading {
  config: FluxTransformerConfig;
  vaeConfig: AutoencoderKLConfig;
  tokenizers: Record<"clip" | "t5", string>;
  buildGraphs(): Record<"clip" | "t5" | "trunk" | "head" | "modulation" | "vae" | "vaeEncoder", OnnxModel>;
}

/** FLUX.1's published settings. Schnell is the distilled model without guidance embedding. */
const DEV = { steps: 50, guidanceScale: 3.5, maxSequenceLength: 512 };
const SCHNELL = { steps: 4, guidanceScale: 0, maxSequenceLength: 256 };
/** Settings in the cards of FLUX.1 Kontext [dev] and FLUX.1 Fill [dev]. */
const KONTEXT = { steps: 28, guidanceScale: 2.5, maxSequenceLength: 512 };
const FILL = { steps: 50, guidanceScale: 30, maxSequenceLength: 512 };
/** Default strength of FluxImg2ImgPipeline, of FluxInpaintPipeline and of FluxFillPipeline. */
const [IMAGE_STRENGTH, FILL_STRENGTH] = [0.6, 1];
/** diffusers' default_sample_size, in latent pixels. */
const DEFAULT_SAMPLE_SIZE = 128;
/** Pipeline classes whose image tokens hold more than latents. */
const BESIDE: Readonly<Record<string, FluxBlocksOptions["beside"]>> = {
  FluxKontextPipeline: "references",
  FluxFillPipeline: "masked",
};
/** FluxPipeline's limit. */
const MAX_SEQUENCE_LENGTH = 512;

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readFluxCheckpoint(checkpoint: Checkpoint, dtype: DType): FluxCheckpoint {
  const beside = BESIDE[checkpoint.pipelineClass];
  checkpoint.requireClass("transformer", "FluxTransformer2DModel");
  checkpoint.requireClass("vae", "AutoencoderKL");
  checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", "CLIPTextModel");
  checkpoint.requireClass("text_encoder_2", "T5EncoderModel");
  const transformer = checkpoint.component("transformer", "diffusion_pytorch_model");
  const vae = withLatentNumbers(checkpoint.component("vae", "diffusion_pytorch_model"), "shift");
  const clip = checkpoint.component("text_encoder", "model");
  const t5 = checkpoint.component("text_encoder_2", "model");

  const config = parseFluxTransformerConfig(transformer.config);
  const vaeConfig = parseAutoencoderKLConfig(vae.config, "vae/config.json");
  const vaeScale = 2 ** (vaeConfig.block_out_channels.length - 1);
  const scheduler = checkScheduler(checkpoint.scheduler(), { sigmas: [1], imageSeqLen: 1 });
  const controlNets = readControlNets(checkpoint, { config, dtype, beside });
  const residuals = {
    double: controlNets.some(({ reaches }) => reaches.double),
    single: controlNets.some(({ reaches }) => reaches.single),
  };
  requireChannels(config, { latents: vaeConfig.latent_channels, vaeScale, beside });
  const side = DEFAULT_SAMPLE_SIZE * vaeScale;
  const multiple = PATCH * vaeScale;
  return {
    config,
    vaeConfig,
    scheduler,
    controlNets,
    latentScale: { channels: config.outChannels / PATCH ** 2, spatial: vaeScale },
    ...beside === "masked" && { maskInputs: true },
    tokenizers: { clip: checkpoint.path("tokenizer"), t5: checkpoint.path("tokenizer_2") },
    defaults: requestDefaults(checkpoint, {
      ...settingsOf(config, beside),
      width: side,
      height: side,
      trueCfgScale: 1,
      sampler: {},
    }),
    rules: {
      sizeMultiple: multiple,
      maxSequenceLength: MAX_SEQUENCE_LENGTH,
      guidance: config.guidanceEmbeds ? "distilled" : "none",
      ...beside === "references" ? { references: kontextReferences(multiple) } : {
        startImage: { strength: beside === "masked" ? FILL_STRENGTH : IMAGE_STRENGTH, partialStep: "run" },
      },
      ...controlNetRules(controlNets),
    },
    decoding: decodingSize(vaeConfig),
    conditioningElements: ({ maxSequenceLength, trueCfgScale }) =>
      (trueCfgScale > 1 ? 2 : 1) * maxSequenceLength * config.innerDim,
    buildGraphs: () => ({
      clip: clipTextEncoderGraph({ ...clip, dtype, outputs: ["pooled_output"] }),
      t5: t5EncoderGraph({ ...t5, dtype }),
      ...fluxTransformerGraphs({ ...transformer, dtype, residuals, beside }),
      ...controlGraphs(controlNets),
      vae: autoencoderKLDecoderGraph({ ...vae, dtype: "float32" }),
      vaeEncoder: autoencoderKLEncoderGraph({ ...vae, dtype: "float32" }),
    }),
  };
}

function settingsOf({ guidanceEmbeds }: FluxTransformerConfig, beside: FluxBlocksOptions["beside"]) {
  if (!guidanceEmbeds) return SCHNELL;
  return beside === "references" ? KONTEXT : beside === "masked" ? FILL : DEV;
}

function readControlNets(
  checkpoint: Checkpoint,
  { config, dtype, beside }: {
    config: FluxTransformerConfig;
    dtype: DType;
    beside: FluxBlocksOptions["beside"];
  },
): ReturnType<typeof readFluxControlNet>[] {
  const controlNets = checkpoint.controlNets.map((files) =>
    readFluxControlNet(files, { model: checkpoint.folder, config, dtype })
  );
  if (beside !== undefined && controlNets.length > 0) {
    throw new CheckpointError(
      `Cannot use a ControlNet with ${checkpoint.folder}: ${checkpoint.pipelineClass} takes none.`,
    );
  }
  return controlNets;
}

/** @throws {CheckpointError} if the transformer's channels are not those of the pipeline class. */
function requireChannels(
  { inChannels, outChannels }: FluxTransformerConfig,
  { latents, vaeScale, beside }: {
    latents: number;
    vaeScale: number;
    beside: FluxBlocksOptions["beside"];
  },
): void {
  const own = PATCH ** 2 * latents;
  // The masked image's latents, and the mask's pixels behind each latent.
  const expected = beside === "masked" ? 2 * own + (PATCH * vaeScale) ** 2 : own;
  if (outChannels === own && inChannels === expected) return;
  throw new CheckpointError(
    `Cannot use transformer/config.json: 'in_channels' and 'out_channels' must be ${expected} and ${own} ` +
      `with this pipeline class and autoencoder, but are ${inChannels} and ${outChannels}.`,
  );
}
