// Transformers with rotary positions share the channels of a head out among three axes: time, row and column.
import { z } from "zod";
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "./checkpoint_error.ts";

/** Channels are rotated in pairs, so each axis has an even number of them. */
const axis = z.int().nonnegative().multipleOf(2);

/** Schema of the option: the channels of each axis. */
export const rotaryAxes = z.tuple([axis, axis, axis]);

export interface RotaryAxesOptions {
  /** Name of the option. @default axes_dims_rope */
  name?: string;
  axes: readonly number[];
  /** The channels of a head. */
  headDim: number;
}

/**
 * Checks that the axes of rotary positions divide a head.
 * @throws {CheckpointError} if the axes leave channels of a head over, or want more.
 */
export function requireRotaryAxes(
  path: string,
  { name = "axes_dims_rope", axes, headDim }: RotaryAxesOptions,
): void {
  if (axes.reduce((sum, dim) => sum + dim, 0) === headDim) return;
  throw new CheckpointError(
    `Cannot use ${path} as '${name}' must add up to 'attention_head_dim': current values are [${
      showValue(axes.join())
    }] and ${headDim}`,
  );
}
