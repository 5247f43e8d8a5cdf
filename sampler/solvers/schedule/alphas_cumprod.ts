// The noise schedule of training that diffusers' older schedulers share: betas by name, and `alphas_cumprod`,
// the running product of 1 - beta. Rounded where torch rounds, so that tables equal diffusers' bit for bit.

import { assertChoice } from "../../numerics/assert_choice.ts";
import { assertNumber } from "../../numerics/assert_number.ts";
import { torchLinspace } from "../../numerics/torch_linspace.ts";

/** The options that these schedulers share. */
export interface NoiseScheduleConfig {
  numTrainTimesteps: number;
  betaStart: number;
  betaEnd: number;
  betaSchedule: string;
  trainedBetas: readonly number[] | null;
  /** Moves the last entry to 0 (arXiv 2305.08891, algorithm 1). Not all of the schedulers have it. */
  rescaleBetasZeroSnr?: boolean;
}

/** Their defaults, in all of the schedulers. */
export const NOISE_SCHEDULE_DEFAULTS = {
  numTrainTimesteps: 1000,
  betaStart: 0.0001,
  betaEnd: 0.02,
  betaSchedule: "linear",
  trainedBetas: null,
} as const satisfies NoiseScheduleConfig;

/**
 * Returns the share of the original's variance at each timestep of training, [numTrainTimesteps]: float32
 * values, descending.
 *
 * @throws {TypeError} If the name of the schedule is unknown.
 * @throws {RangeError} If a number is outside its range, or the trained betas are of another number.
 */
export function alphasCumprod(config: NoiseScheduleConfig): Float64Array {
  const betas = readBetas(config);
  return cumulativeProduct(config.rescaleBetasZeroSnr ? rescaleToZeroSnr(betas) : betas);
}

const f32 = Math.fround;

function readBetas(config: NoiseScheduleConfig): Float64Array {
  const { betaStart, betaEnd, betaSchedule, trainedBetas, numTrainTimesteps: count } = config;
  const action = "create the solver";
  assertNumber(count, { action, name: "num_train_timesteps", integer: true, min: 1 });
  if (trainedBetas !== null) {
    if (trainedBetas.length !== count) {
      throw new RangeError(
        `Cannot create the solver as 'trained_betas' must hold ${count} values: ` +
          `current length is ${trainedBetas.length}`,
      );
    }
    return Float64Array.from(trainedBetas, f32);
  }
  assertNumber(betaStart, { action, name: "beta_start", min: 0, max: 1 });
  assertNumber(betaEnd, { action, name: "beta_end", min: 0, max: 1 });
  assertChoice(betaSchedule, {
    name: "beta_schedule",
    choices: ["linear", "scaled_linear", "squaredcos_cap_v2"],
  });
  switch (betaSchedule) {
    case "linear":
      return torchLinspace(betaStart, betaEnd, count);
    case "scaled_linear":
      return torchLinspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), count).map((root) => f32(root * root));
    case "squaredcos_cap_v2":
      return Float64Array.from({ length: count }, (_, i) => {
        const kept = cosineAlphaBar((i + 1) / count) / cosineAlphaBar(i / count);
        return f32(Math.min(1 - kept, 0.999));
      });
    default:
      throw new TypeError(
        `Cannot create the solver as the betas are unknown: ${betaSchedule satisfies never}`,
      );
  }
}

/** Nichol and Dhariwal 2021 (arXiv 2102.09672), equation 17. */
function cosineAlphaBar(time: number): number {
  return Math.cos((time + 0.008) / 1.008 * Math.PI / 2) ** 2;
}

/** Shifts and stretches the square roots of the products so that the first stays and the last is 0. */
function rescaleToZeroSnr(betas: Float64Array): Float64Array {
  const roots = cumulativeProduct(betas).map((alpha) => f32(Math.sqrt(alpha)));
  const first = roots[0]!;
  const last = roots.at(-1)!;
  const stretch = f32(first / f32(first - last));
  const products = roots.map((root) => f32(f32(f32(root - last) * stretch) ** 2));
  return products.map((product, i) => f32(1 - (i === 0 ? product : f32(product / products[i - 1]!))));
}

/** torch multiplies up in float64 and rounds what it stores. */
function cumulativeProduct(betas: Float64Array): Float64Array {
  let product = 1;
  return betas.map((beta) => f32(product *= f32(1 - beta)));
}
