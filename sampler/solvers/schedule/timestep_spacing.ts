// Which timesteps of training a run visits, as diffusers' older schedulers share it;
// table 2 of arXiv 2305.08891.

import { assertChoice } from "../../numerics/assert_choice.ts";
import { assertNumber } from "../../numerics/assert_number.ts";
import { roundHalfEven } from "../../numerics/round_half_even.ts";
import { linspace } from "../../numerics/linspace.ts";

/** The options of a scheduler. */
export interface TimestepSpacingConfig {
  numTrainTimesteps: number;
  timestepSpacing: string;
  stepsOffset: number;
}

/** The run, and what differs between schedulers. */
export interface TimestepSpacingOptions {
  steps: number;
  /**
   * Whether linspace and leading make room for the end of the last step, at timestep 0.
   * @default false
   */
  withEnd?: boolean;
  /**
   * Number of training timesteps that are in use.
   * @default numTrainTimesteps
   */
  used?: number;
  /**
   * Whether linspace gives integers.
   * @default true
   */
  rounded?: boolean;
}

/**
 * Timesteps in descending order. Trailing ones may be more or less than `steps`, by the rounding of their
 * spacing or where not all timesteps are in use.
 *
 * @throws {TypeError} If the spacing's name is unknown.
 * @throws {RangeError} If a number is outside its range.
 */
export function spaceTimesteps(config: TimestepSpacingConfig, options: TimestepSpacingOptions): Float64Array {
  const { numTrainTimesteps, timestepSpacing, stepsOffset } = config;
  const { steps, withEnd = false, used = numTrainTimesteps, rounded = true } = options;
  const action = "create the solver";
  assertChoice(timestepSpacing, { name: "timestep_spacing", choices: ["linspace", "leading", "trailing"] });
  assertNumber(stepsOffset, { action, name: "steps_offset", integer: true });
  assertNumber(steps, { action, name: "steps", integer: true, min: 1, max: used });
  const first = withEnd ? 1 : 0;
  switch (timestepSpacing) {
    case "linspace": {
      const grid = linspace(0, used - 1, steps + first);
      return (rounded ? grid.map(roundHalfEven) : grid).subarray(first).reverse();
    }
    case "leading": {
      const spacing = Math.floor(used / (steps + first));
      return Float64Array.from({ length: steps }, (_, i) => (steps - 1 - i + first) * spacing + stepsOffset);
    }
    case "trailing":
      return descend(used, numTrainTimesteps / steps).map((timestep) => roundHalfEven(timestep) - 1);
    default:
      throw new TypeError(
        `Cannot space timesteps as the spacing is unknown: ${timestepSpacing satisfies never}`,
      );
  }
}

/** `np.arange(start, 0, -spacing)`, which takes the difference of its first two values for the spacing. */
function descend(start: number, spacing: number): Float64Array {
  const delta = (start - spacing) - start;
  return Float64Array.from({ length: Math.ceil(start / spacing) }, (_, i) => start + i * delta);
}
