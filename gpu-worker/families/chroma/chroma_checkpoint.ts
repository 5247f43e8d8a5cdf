// Reads a Chroma checkpoint: scheduler, defaults, rules, and the function that builds its
// graphs. Nothing is loaded on a device.
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import {
  type AutoencoderKLConfig,
  parseAutoencoderKLConfig,
} from "../../graph/autoencoder_kl/autoencoder_kl_config.ts";
import { autoencoderKLDecoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_decoder.ts";
import { withLatentNumbers } from "../../graph/autoencoder_kl/with_latent_numbers.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { t5EncoderGraph } from "../../graph/text_encoders/t5_encoder.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { PATCH } from "../../pipeline/patch_packing.ts";
import type { DType } from "../../runtime/dtype.ts";
import { decodingSize } from "../../vae/decoding_size.ts";
import { type ChromaTransformerConfig, parseChromaTransformerConfig } from "./chroma_config.ts";
import { chromaTransformerGraphs } from "./chroma_transformer.ts";

export interface ChromaCheckpoint extends FamilyReading {
  config: ChromaTransformerConfig;
  vaeConfig: AutoencoderKLConfig;
  tokenizers: Record<"t5", string>;
  buildGraphs(): Record<"t5" | "trunk" | "head" | "modulation" | "vae", OnnxModel>;
}

/** ChromaPipeline's defaults. */
const PRESET = { steps: 35, guidanceScale: 5, trueCfgScale: 1, maxSequenceLength: 512, sampler: {} };
/** diffusers' default_sample_size, in latent pixels. */
const DEFAULT_SAMPLE_SIZE = 128;

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readChromaCheckpoint(checkpoint: Checkpoint, dtype: DType): ChromaCheckpoint {
  checkpoint.requireClass("transformer", "ChromaTransformer2DModel");
  checkpoint.requireClass("vae", "AutoencoderKL");
  checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", "T5EncoderModel");
  const transformer = checkpoint.component("transformer", "diffusion_pytorch_model");
  const vae = withLatentNumbers(checkpoint.component("vae", "diffusion_pytorch_model"), "shift");
  const t5 = checkpoint.component("text_encoder", "model");

  const config = parseChromaTransformerConfig(transformer.config);
  const vaeConfig = parseAutoencoderKLConfig(vae.config, "vae/config.json");
  const vaeScale = 2 ** (vaeConfig.block_out_channels.length - 1);
  const scheduler = checkScheduler(checkpoint.scheduler(), { sigmas: [1], imageSeqLen: 1 });
  const side = DEFAULT_SAMPLE_SIZE * vaeScale;
  return {
    config,
    vaeConfig,
    scheduler,
    latentScale: { channels: config.inChannels / PATCH ** 2, spatial: vaeScale },
    tokenizers: { t5: checkpoint.path("tokenizer") },
    defaults: requestDefaults(checkpoint, { ...PRESET, width: side, height: side }),
    rules: {
      sizeMultiple: PATCH * vaeScale,
      maxSequenceLength: PRESET.maxSequenceLength,
      guidance: "cfg",
    },
    decoding: decodingSize(vaeConfig),
    conditioningElements: ({ maxSequenceLength, guidanceScale }) =>
      (guidanceScale > 1 ? 2 : 1) * maxSequenceLength * config.innerDim,
    buildGraphs: () => ({
      t5: t5EncoderGraph({ ...t5, dtype, attentionMask: true }),
      ...chromaTransformerGraphs({ ...transformer, dtype }),
      vae: autoencoderKLDecoderGraph({ ...vae, dtype: "float32" }),
    }),
  };
}
