// The blocks of a UNet, from the options of its config that say how many there are and what each one holds.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

/** The transformers of a block, one after each of its first resnets. */
export interface UNetAttentionConfig {
  heads: number;
  /** Layers of each transformer, one entry for each resnet that has a transformer. */
  depths: readonly number[];
  /** Whether the first attention of a layer attends to the text too, instead of to the image. */
  onlyCross: boolean;
}

/** Resnets at one resolution. */
export interface UNetBlockConfig {
  outChannels: number;
  resnets: number;
  attention: UNetAttentionConfig | undefined;
  /** Divisor of the resnets' outputs. */
  outputScaleFactor: number;
}

export interface UNetBlocks {
  /** From high to low resolution, with a downsampler after all but the last. */
  down: readonly UNetBlockConfig[];
  mid: UNetBlockConfig | undefined;
  /** From low to high resolution, with an upsampler after all but the last. */
  up: readonly UNetBlockConfig[];
}

type Depth = number | number[];

/** Options of UNet2DConditionModel. An option of one value holds for every block. */
export interface UNetBlockOptions {
  block_out_channels: readonly number[];
  norm_num_groups: number;
  down_block_types: readonly ("CrossAttnDownBlock2D" | "DownBlock2D")[];
  mid_block_type: "UNetMidBlock2DCrossAttn" | "UNetMidBlock2D" | null;
  mid_block_scale_factor: number;
  up_block_types: readonly ("CrossAttnUpBlock2D" | "UpBlock2D")[];
  /** The option's name is wrong and kept for old checkpoints: it is the number of heads. */
  attention_head_dim: number | readonly number[];
  layers_per_block: number | readonly number[];
  only_cross_attention: boolean | readonly boolean[];
  transformer_layers_per_block: number | readonly Depth[];
  reverse_transformer_layers_per_block?: readonly Depth[] | null | undefined;
  /** Shown in errors. */
  path: string;
}

/**
 * Reads the kinds and sizes of a UNet's blocks from its options.
 * @throws {CheckpointError} naming the option that contradicts another.
 */
export function readUNetBlocks(options: UNetBlockOptions): UNetBlocks {
  const { block_out_channels: widths, path } = options;
  const { heads, layers, onlyCross, depths, reversed } = perBlock(options);
  const attention = (i: number, depth: Depth, transformers: number): UNetAttentionConfig => {
    requireMultiples(path, {
      key: "block_out_channels",
      values: [widths[i]!],
      of: heads[i]!,
      ofName: "attention_head_dim",
    });
    const perResnet = Array.isArray(depth) ? depth : Array<number>(transformers).fill(depth);
    if (perResnet.length < transformers) {
      throw new CheckpointError(
        `Cannot use ${path} as 'transformer_layers_per_block' must have a depth for each of ` +
          `${transformers} resnets: current value is [${showValue(perResnet.join())}]`,
      );
    }
    return { heads: heads[i]!, depths: perResnet.slice(0, transformers), onlyCross: onlyCross[i]! };
  };
  const block = (i: number, resnets: number, depth: Depth | undefined): UNetBlockConfig => ({
    outChannels: widths[i]!,
    resnets,
    attention: depth === undefined ? undefined : attention(i, depth, resnets),
    outputScaleFactor: 1,
  });
  const last = widths.length - 1;
  return {
    down: options.down_block_types.map((type, i) =>
      block(i, layers[i]!, type === "CrossAttnDownBlock2D" ? depths[i]! : undefined)
    ),
    mid: options.mid_block_type === null ? undefined : {
      ...block(last, 1, undefined),
      ...options.mid_block_type === "UNetMidBlock2DCrossAttn" &&
        { resnets: 2, attention: { ...attention(last, depths[last]!, 1), onlyCross: false } },
      outputScaleFactor: options.mid_block_scale_factor,
    },
    up: options.up_block_types.map((type, i) => {
      const mirrored = last - i;
      const depth = type === "CrossAttnUpBlock2D" ? reversed[i]! : undefined;
      return block(mirrored, layers[mirrored]! + 1, depth);
    }),
  };
}

/** Returns the options that differ from block to block, one entry a block. `reversed` is for the way up. */
function perBlock(options: UNetBlockOptions) {
  const { block_out_channels: widths, norm_num_groups: groups, path } = options;
  const size = widths.length;
  const requireLength = (key: string, values: readonly unknown[]) => checkLength(path, { key, values, size });
  for (const key of ["down_block_types", "up_block_types"] as const) requireLength(key, options[key]);
  requireMultiples(path, {
    key: "block_out_channels",
    values: widths,
    of: groups,
    ofName: "norm_num_groups",
  });
  const each = <T>(key: keyof UNetBlockOptions, value: T | readonly T[]): readonly T[] => {
    if (!Array.isArray(value)) return Array<T>(size).fill(value as T);
    requireLength(key, value);
    return value;
  };
  const heads = each<number>("attention_head_dim", options.attention_head_dim);
  const layers = each<number>("layers_per_block", options.layers_per_block);
  const onlyCross = each<boolean>("only_cross_attention", options.only_cross_attention);
  const depths = each<Depth>("transformer_layers_per_block", options.transformer_layers_per_block);
  const given = options.reverse_transformer_layers_per_block;
  const reversed = given ?? depths.toReversed();
  requireLength("reverse_transformer_layers_per_block", reversed);
  if (!given && depths.some((depth) => Array.isArray(depth))) {
    throw new CheckpointError(
      `Cannot use ${path} as 'transformer_layers_per_block' with depths per resnet takes ` +
        "'reverse_transformer_layers_per_block'",
    );
  }
  return { heads, layers, onlyCross, depths, reversed };
}

function checkLength(
  path: string,
  { key, values, size }: { key: string; values: readonly unknown[]; size: number },
): void {
  if (values.length !== size) {
    throw new CheckpointError(
      `Cannot use ${path} as '${key}' must have as many entries as 'block_out_channels': ` +
        `current values are ${values.length} and ${size}`,
    );
  }
}

function requireMultiples(
  path: string,
  { key, values, of, ofName }: { key: string; values: readonly number[]; of: number; ofName: string },
): void {
  const odd = values.find((value) => value % of !== 0);
  if (odd !== undefined) {
    throw new CheckpointError(
      `Cannot use ${path} as '${key}' must be multiples of '${ofName}' (${of}): current value is ${odd}`,
    );
  }
}
