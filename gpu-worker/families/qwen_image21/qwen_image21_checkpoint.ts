// Reads a Qwen-Image-2.1 checkpoint: scheduler, defaults, rules, and the function that builds its
// graphs. Nothing is loaded on a device.
import { assertFit } from "../../checkpoint/assert_fit.ts";
import { z } from "zod";
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { parseQwenConfig } from "../../graph/text_encoders/qwen_config.ts";
import { qwenEncoderGraph } from "../../graph/text_encoders/qwen_encoder.ts";
import {
  parseAutoencoderKLQwenImage21Config,
  type WanVaeConfig,
} from "../../graph/wan_vae/wan_vae_config.ts";
import { qwenVisionEncoderGraph } from "../../graph/vision_encoders/qwen_vision_encoder.ts";
import { wanVaePictureGraph } from "../../graph/wan_vae/wan_vae_decoder.ts";
import { wanVaeEncoderGraph } from "../../graph/wan_vae/wan_vae_encoder.ts";
import type { ImageSize } from "../../media/decoded_image.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { openQwenPicture, qwenPictureReading } from "../../pipeline/qwen_picture.ts";
import type { ReferenceRules } from "../../request/references.ts";
import { brokenProportions, sizeOfArea } from "../../text/qwen_vision/reference_sizes.ts";
import { MAX_REFERENCES } from "../../../protocol/wire/run_request.ts";
import { towerSize } from "../../text/qwen_vision/tower_size.ts";
import type { DType } from "../../runtime/dtype.ts";
import { parseQwenImage21Config, type QwenImage21Config } from "./qwen_image21_config.ts";
import { CONDITION_PARTS } from "./qwen_image21_layout.ts";
import { qwenImage21TransformerGraphs } from "./qwen_image21_transformer.ts";
import { QWEN_IMAGE_21_ENCODER, readSight, type Sight } from "./read_sight.ts";

export interface QwenImage21Checkpoint extends FamilyReading {
  config: QwenImage21Config;
  vaeConfig: WanVaeConfig;
  tokenizers: Record<"qwen", string>;
  /** The pipeline's own sigmas, for as many steps. Undefined if it has none. */
  sampleSigmas: readonly number[] | undefined;
  /** How the checkpoint looks at references. Undefined if it draws from text alone. */
  sight: Sight | undefined;
  buildGraphs(): QwenImage21Graphs;
}

export type QwenImage21Graphs =
  & Record<"qwen" | "trunk" | "head" | "modulation" | "vae", OnnxModel>
  & Partial<Record<"visionEncoder" | "vaeEncoder", OnnxModel>>;

/** QwenImage21Pipeline's defaults. It cuts no prompt; here a prompt has a limit. */
const PRESET = {
  steps: 40,
  width: 1024,
  height: 1024,
  guidanceScale: 0,
  trueCfgScale: 1,
  maxSequenceLength: 1024,
  sampler: {},
};
const MAX_SEQUENCE_LENGTH = 4096;
/** Latents a side that the text encoder sees as one token of a picture. */
const SLOT = 2;
/** The pipeline's output_resolution, squared. */
const QWEN_IMAGE_21_AREA = 1024 * 1024;
/** The pipeline's own option, in model_index.json. */
const OPTIONS = z.strictObject({ sample_sigmas: z.array(z.number().positive()).nonempty().nullish() });

/**
 * Reads and checks the checkpoint.
 * @param area pixels of a reference
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readQwenImage21Checkpoint(
  checkpoint: Checkpoint,
  dtype: DType,
  { area = QWEN_IMAGE_21_AREA }: { area?: number } = {},
): QwenImage21Checkpoint {
  const parts = openParts(checkpoint);
  const { config, vaeConfig } = parts;
  const sampleSigmas = readSampleSigmas(checkpoint);
  const scheduler = checkScheduler(checkpoint.scheduler(), { sigmas: [1], imageSeqLen: 1 });
  const { sight, lacks } = readSight(checkpoint, { ...parts, slot: SLOT, area });
  const { rules, ...shared } = qwenPictureReading({
    vaeConfig,
    innerDim: config.innerDim,
    patch: SLOT,
    maxSequenceLength: MAX_SEQUENCE_LENGTH,
  });
  return {
    ...shared,
    config,
    vaeConfig,
    scheduler,
    sampleSigmas,
    sight,
    // The allocator grows by doubling, which leaves as much unused beside tensors of this size.
    scoreElements: (tokens) => 2 * tokens ** 2 * (1 + config.numAttentionHeads / CONDITION_PARTS),
    ...sight && { towerSize: (image: ImageSize) => towerSize(sizeOfArea(image, area), sight) },
    rules: {
      ...rules,
      ...sight ? { references: referenceRules(area) } : { lacksForImages: lacks },
    },
    tokenizers: { qwen: checkpoint.path("processor") },
    defaults: requestDefaults(checkpoint, { ...PRESET, steps: sampleSigmas?.length ?? PRESET.steps }),
    buildGraphs: () => graphsOf(parts, { sight, dtype }),
  };
}

interface Parts extends ReturnType<typeof openQwenPicture> {
  config: QwenImage21Config;
  vaeConfig: WanVaeConfig;
}

/** Opens the components and checks that they fit. */
function openParts(checkpoint: Checkpoint): Parts {
  const components = openQwenPicture(checkpoint, {
    transformer: "QwenImage21Transformer2DModel",
    vae: "AutoencoderKLQwenImage21",
    textEncoder: "Qwen3VLForConditionalGeneration",
  });
  const { transformer, vae, qwen } = components;
  const config = parseQwenImage21Config(transformer.config);
  const vaeConfig = parseAutoencoderKLQwenImage21Config(vae.config, "vae/config.json");
  const { hiddenSize } = parseQwenConfig(qwen.config, {
    architecture: QWEN_IMAGE_21_ENCODER,
    name: qwen.name,
  });
  assertFit("context_in_dim", {
    value: config.contextInDim,
    expected: hiddenSize,
    of: "the text encoder's 'hidden_size'",
  });
  assertFit("in_channels", {
    value: config.inChannels,
    expected: vaeConfig.latentChannels,
    of: "the autoencoder's 'z_dim'",
  });
  return { ...components, config, vaeConfig };
}

function readSampleSigmas(checkpoint: Checkpoint): readonly number[] | undefined {
  const { sample_sigmas } = checkpoint.json("model_index.json");
  const options = parseConfig(OPTIONS, { sample_sigmas }, {
    className: "QwenImage21Pipeline",
    path: checkpoint.path("model_index.json"),
  });
  return options.sample_sigmas ?? undefined;
}

function referenceRules(area: number): ReferenceRules {
  return {
    max: MAX_REFERENCES,
    pictureSize: (first) => sizeOfArea(first, area),
    brokenRule: (image) => brokenProportions(image, area),
  };
}

function graphsOf(
  { transformer, vae, qwen, vaeConfig }: Parts,
  { sight, dtype }: { sight: Sight | undefined; dtype: DType },
): QwenImage21Graphs {
  const autoencoder = { config: vaeConfig, weights: vae.weights };
  return {
    qwen: qwenEncoderGraph({
      ...qwen,
      architecture: QWEN_IMAGE_21_ENCODER,
      dtype,
      states: [-1],
      ...sight && {
        images: {
          rotaryAxes: sight.inputs.rotaryAxes,
          deepstackLayers: sight.vision.deepstack?.blocks.length ?? 0,
        },
      },
    }),
    ...qwenImage21TransformerGraphs({ ...transformer, dtype }),
    vae: wanVaePictureGraph(autoencoder),
    ...sight && {
      visionEncoder: qwenVisionEncoderGraph({ config: sight.vision, weights: qwen.weights, dtype }),
      vaeEncoder: wanVaeEncoderGraph(autoencoder),
    },
  };
}
