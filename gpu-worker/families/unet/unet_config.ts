// Schema of UNet2DConditionModel's config.json (diffusers 0.42.1). Every option of the class is supported as
// Stable Diffusion 1.x, 2.x and SDXL set it, or rejected.
import { showValue } from "../../../sampler/mod.ts";
import { z } from "zod";
import { type ActivationName, DIFFUSERS_ACTIVATIONS } from "../../graph/layers/dense/activation.ts";
import { parseConfig, type ParseConfigOptions } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { readUNetBlocks, type UNetBlocks } from "./unet_blocks.ts";

const count = z.int().positive();
const counts = z.array(count).nonempty();
const depth = z.int().nonnegative();
const act = z.string().toLowerCase().pipe(z.enum(DIFFUSERS_ACTIVATIONS));
const oddKernel = z.int().positive().refine((size) => size % 2 === 1, "must be odd").default(3);
/** Options that only other models use. Any value is rejected. */
const unused = z.null().optional();
/** Options of rejected block types, options of training, and sizes that follow from other options. */
const ignored = z.unknown().optional();

/** The class's defaults. Old checkpoints leave out options that they did not set. */
const UNET_CONFIG = z.strictObject({
  sample_size: z.union([count, z.tuple([count, count])]).nullish(),
  in_channels: count.default(4),
  out_channels: count.default(4),
  center_input_sample: z.boolean().default(false),
  flip_sin_to_cos: z.boolean().default(true),
  freq_shift: z.int().default(0),
  down_block_types: z.array(z.enum(["CrossAttnDownBlock2D", "DownBlock2D"])).default([
    "CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D",
    "DownBlock2D",
  ]),
  mid_block_type: z.enum(["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"]).nullable().default(
    "UNetMidBlock2DCrossAttn",
  ),
  up_block_types: z.array(z.enum(["CrossAttnUpBlock2D", "UpBlock2D"])).default([
    "UpBlock2D",
    "CrossAttnUpBlock2D",
    "CrossAttnUpBlock2D",
    "CrossAttnUpBlock2D",
  ]),
  only_cross_attention: z.union([z.boolean(), z.array(z.boolean())]).default(false),
  // Even, as the timestep's sinusoids come in pairs.
  block_out_channels: z.array(count.multipleOf(2)).nonempty().default([320, 640, 1280, 1280]),
  layers_per_block: z.union([count, counts]).default(2),
  downsample_padding: z.int().nonnegative().default(1),
  mid_block_scale_factor: z.number().positive().default(1),
  act_fn: act.default("silu"),
  norm_num_groups: count.default(32),
  norm_eps: z.number().positive().default(1e-5),
  cross_attention_dim: z.union([count, counts]).default(1280),
  transformer_layers_per_block: z.union([depth, z.array(z.union([depth, z.array(depth)]))]).default(1),
  reverse_transformer_layers_per_block: z.array(z.union([depth, z.array(depth)])).nullish(),
  attention_head_dim: z.union([count, counts]).default(8),
  use_linear_projection: z.boolean().default(false),
  addition_embed_type: z.literal("text_time").nullish(),
  addition_time_embed_dim: z.int().positive().multipleOf(2).nullish(),
  upcast_attention: z.boolean().nullish(),
  resnet_time_scale_shift: z.enum(["default", "scale_shift"]).default("default"),
  time_embedding_type: z.literal("positional").default("positional"),
  time_embedding_dim: count.nullish(),
  time_embedding_act_fn: act.nullish(),
  timestep_post_act: act.nullish(),
  conv_in_kernel: oddKernel,
  conv_out_kernel: oddKernel,
  projection_class_embeddings_input_dim: count.nullish(),
  attention_type: z.literal("default").default("default"),
  dual_cross_attention: z.literal(false).default(false),
  class_embeddings_concat: z.literal(false).default(false),
  num_attention_heads: unused,
  encoder_hid_dim: unused,
  encoder_hid_dim_type: unused,
  class_embed_type: unused,
  num_class_embeds: unused,
  time_cond_proj_dim: unused,
  dropout: ignored,
  resnet_skip_time_act: ignored,
  resnet_out_scale_factor: ignored,
  mid_block_only_cross_attention: ignored,
  cross_attention_norm: ignored,
  addition_embed_type_num_heads: ignored,
});

type RawConfig = z.infer<typeof UNET_CONFIG> & {
  /** Shown in errors. */
  path: string;
};

/** UNet2DConditionModel's options in camelCase, and sizes derived from them. */
export interface UNet2DConditionConfig extends UNetBlocks {
  /** Height and width of the latents that the model was trained on. */
  sampleSize: readonly [number, number] | undefined;
  inChannels: number;
  outChannels: number;
  centerInputSample: boolean;
  flipSinToCos: boolean;
  freqShift: number;
  /** Width of the first block: of the timestep's sinusoids, the feature and the head. */
  channels: number;
  timeEmbedDim: number;
  timeEmbeddingAct: ActivationName | undefined;
  timestepPostAct: ActivationName | undefined;
  timeScaleShift: "default" | "scale_shift";
  downsamplePadding: number;
  act: ActivationName;
  normNumGroups: number;
  normEps: number;
  crossAttentionDim: number;
  useLinearProjection: boolean;
  upcastAttention: boolean;
  convInKernel: number;
  convOutKernel: number;
  /** SDXL's added conditioning: pooled text and the sizes of the picture. */
  textTime: { timeEmbedDim: number; pooledDim: number } | undefined;
}

/** Original height and width, top and left of the crop, target height and width. */
export const TIME_IDS = 6;

/**
 * Checks a parsed config of a UNet.
 * @param source the file and the class that it configures, for errors
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseUNet2DConditionConfig(
  json: unknown,
  source: ParseConfigOptions = { className: "UNet2DConditionModel", path: "unet/config.json" },
): UNet2DConditionConfig {
  const raw = { ...parseConfig(UNET_CONFIG, json, source), path: source.path };
  const blocks = readUNetBlocks(raw);
  const channels = raw.block_out_channels[0]!;
  const { sample_size: size } = raw;
  return {
    ...blocks,
    sampleSize: typeof size === "number" ? [size, size] : size ?? undefined,
    inChannels: raw.in_channels,
    outChannels: raw.out_channels,
    centerInputSample: raw.center_input_sample,
    flipSinToCos: raw.flip_sin_to_cos,
    freqShift: raw.freq_shift,
    channels,
    timeEmbedDim: raw.time_embedding_dim ?? 4 * channels,
    timeEmbeddingAct: raw.time_embedding_act_fn ?? undefined,
    timestepPostAct: raw.timestep_post_act ?? undefined,
    timeScaleShift: raw.resnet_time_scale_shift,
    downsamplePadding: raw.downsample_padding,
    act: raw.act_fn,
    normNumGroups: raw.norm_num_groups,
    normEps: raw.norm_eps,
    crossAttentionDim: readCrossAttentionDim(raw),
    useLinearProjection: raw.use_linear_projection,
    upcastAttention: raw.upcast_attention ?? false,
    convInKernel: raw.conv_in_kernel,
    convOutKernel: raw.conv_out_kernel,
    textTime: readTextTime(raw),
  };
}

function readCrossAttentionDim({ cross_attention_dim: dims, path }: RawConfig): number {
  if (typeof dims === "number") return dims;
  if (dims.some((dim) => dim !== dims[0])) {
    throw new CheckpointError(
      `Cannot use ${path} as all blocks see the same text, so 'cross_attention_dim' must be one size: ` +
        `current value is [${showValue(dims.join())}]`,
    );
  }
  return dims[0]!;
}

function readTextTime(raw: RawConfig): UNet2DConditionConfig["textTime"] {
  const { addition_embed_type, addition_time_embed_dim, projection_class_embeddings_input_dim, path } = raw;
  if (addition_embed_type !== "text_time") return undefined;
  const timeEmbedDim = addition_time_embed_dim ?? 0;
  const pooledDim = (projection_class_embeddings_input_dim ?? 0) - TIME_IDS * timeEmbedDim;
  if (timeEmbedDim === 0 || pooledDim <= 0) {
    throw new CheckpointError(
      `Cannot use ${path} as 'projection_class_embeddings_input_dim' must exceed ${TIME_IDS} times ` +
        `'addition_time_embed_dim': current values are ${projection_class_embeddings_input_dim} and ` +
        `${addition_time_embed_dim}`,
    );
  }
  return { timeEmbedDim, pooledDim };
}
