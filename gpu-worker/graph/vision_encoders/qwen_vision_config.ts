// The options of transformers' Qwen2_5_VLVisionConfig and Qwen3VLVisionConfig (4.x and 5.x) with their
// defaults: the vision_config of a text encoder.
import { z } from "zod";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { type ActivationName, ACTIVATIONS } from "../layers/dense/activation.ts";
import { pretrainedConfig } from "../text_encoders/pretrained_config.ts";

export type QwenVisionArchitecture = "qwen2_5_vl" | "qwen3_vl";

const count = z.int().positive();
const index = z.int().nonnegative();

const SHARED = {
  hidden_act: z.enum(Object.keys(ACTIVATIONS) as ActivationName[]),
  in_channels: z.literal(3, "must be 3: pictures have three channels").default(3),
  // Published files name it so.
  in_chans: z.literal(3, "must be 3: pictures have three channels").optional(),
  spatial_merge_size: count.default(2),
  temporal_patch_size: count.default(2),
  out_hidden_size: count.default(3584),
  rope_parameters: z.strictObject({
    rope_type: z.literal("axial").default("axial"),
    rope_theta: z.literal(10000).default(10000),
  }).nullish(),
};

const QWEN2_5_VL = pretrainedConfig({
  ...SHARED,
  hidden_act: SHARED.hidden_act.default("silu"),
  depth: count.default(32),
  hidden_size: count.default(3584),
  intermediate_size: count.default(3420),
  num_heads: count.default(16),
  patch_size: count.default(14),
  window_size: count.default(112),
  fullatt_block_indexes: z.array(index).default([7, 15, 23, 31]),
  model_type: z.enum(["qwen2_5_vl", "qwen2_5_vl_vision"]).optional(),
  // Options of videos, and copies of other options in published files.
  tokens_per_second: z.unknown().optional(),
  spatial_patch_size: z.unknown().optional(),
});

const QWEN3_VL = pretrainedConfig({
  ...SHARED,
  hidden_act: SHARED.hidden_act.default("gelu_pytorch_tanh"),
  depth: count.default(27),
  hidden_size: count.default(1152),
  intermediate_size: count.default(4304),
  num_heads: count.default(16),
  patch_size: count.default(16),
  num_position_embeddings: count.default(2304),
  deepstack_visual_indexes: z.array(index).default([8, 16, 24]),
  model_type: z.enum(["qwen3_vl", "qwen3_vl_vision"]).optional(),
});

/** A vision tower's options in camelCase, and sizes derived from them. */
export interface QwenVisionConfig {
  depth: number;
  hiddenSize: number;
  intermediateSize: number;
  heads: number;
  headDim: number;
  hiddenAct: ActivationName;
  /** Pixels a side of a patch. */
  patchSize: number;
  /** Equal frames that a picture is repeated to. */
  temporalPatchSize: number;
  /** Patches a side that become one token of the text encoder. */
  mergeSize: number;
  /** Width of the text encoder. */
  outHiddenSize: number;
  /** Attention inside windows (Qwen2.5-VL). @default every block attends to the whole picture */
  windows?: {
    /** Tokens of the text encoder a side of a window. */
    side: number;
    /** Blocks that attend to the whole picture. */
    fullBlocks: ReadonlySet<number>;
  };
  /** Learnt positions and features of inner blocks (Qwen3-VL). @default neither */
  deepstack?: {
    /** Positions a side of the learnt grid. */
    gridSide: number;
    /** Blocks whose outputs the text encoder adds after its own first blocks. */
    blocks: readonly number[];
  };
}

/**
 * Checks the vision_config of a text encoder's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseQwenVisionConfig(
  json: unknown,
  { architecture, path }: { architecture: QwenVisionArchitecture; path: string },
): QwenVisionConfig {
  const at = `${path} ('vision_config')`;
  if (architecture === "qwen2_5_vl") {
    const config = parseConfig(QWEN2_5_VL, json ?? {}, { className: "Qwen2_5_VLVisionConfig", path: at });
    const side = Math.floor(Math.floor(config.window_size / config.spatial_merge_size) / config.patch_size);
    if (side < 1) refuse(at, "'window_size' must hold a token of the text encoder", config.window_size);
    const windows = { side, fullBlocks: new Set(config.fullatt_block_indexes) };
    return { ...shared(config, at), windows };
  }
  const config = parseConfig(QWEN3_VL, json ?? {}, { className: "Qwen3VLVisionConfig", path: at });
  const blocks = config.deepstack_visual_indexes;
  if (new Set(blocks).size < blocks.length || blocks.some((block) => block >= config.depth)) {
    refuse(at, `'deepstack_visual_indexes' must name different ones of ${config.depth} blocks`, blocks);
  }
  const gridSide = Math.sqrt(config.num_position_embeddings);
  if (!Number.isInteger(gridSide)) {
    refuse(at, "'num_position_embeddings' must be a square number", config.num_position_embeddings);
  }
  return { ...shared(config, at), deepstack: { gridSide, blocks } };
}

type Options = z.infer<typeof QWEN2_5_VL> | z.infer<typeof QWEN3_VL>;

function shared(config: Options, path: string): Omit<QwenVisionConfig, "windows" | "deepstack"> {
  const headDim = config.hidden_size / config.num_heads;
  if (!Number.isInteger(headDim / 4)) {
    refuse(
      path,
      `'hidden_size' must give each of ${config.num_heads} heads a multiple of 4`,
      config.hidden_size,
    );
  }
  return {
    depth: config.depth,
    hiddenSize: config.hidden_size,
    intermediateSize: config.intermediate_size,
    heads: config.num_heads,
    headDim,
    hiddenAct: config.hidden_act,
    patchSize: config.patch_size,
    temporalPatchSize: config.temporal_patch_size,
    mergeSize: config.spatial_merge_size,
    outHiddenSize: config.out_hidden_size,
  };
}

function refuse(path: string, rule: string, value: unknown): never {
  throw new CheckpointError(`Cannot use ${path} as ${rule}: current value is ${value}`);
}
