// Predicts the error of step plans from a calibration, and finds the plans that it predicts to be best.
import { meanOf } from "../mean_of.ts";
import {
  CalibratedForecaster,
  findPlans,
  type FindPlansOptions,
  type Forecaster,
  planCost,
  stepCorrelations,
} from "../../../sampler/mod.ts";
import type { ModelCalibration } from "../../request/model_calibration.ts";
import type { Trials, TrialSet } from "./trials.ts";

/** Forecasts of this many different gaps are measured. */
const GAPS = 8;
/** Prompts that each of them is measured on. */
const GAP_PROMPTS = 2;
/** Pictures that `withSensitivity` draws at most. */
export const SENSITIVITY_DRAWS = GAPS * GAP_PROMPTS;

/** Rounding hides smaller costs. */
const LEAST_COST = 1e-15;

/** The part of a plan search that needs no run. */
export class PlanCosts {
  readonly #options: Omit<FindPlansOptions, "maxPasses" | "memory">;

  private constructor(options: Omit<FindPlansOptions, "maxPasses" | "memory">) {
    this.#options = options;
  }

  /** Returns costs in which the error of each step counts by the distance that the solver moves there. */
  static byDistance(calibration: ModelCalibration, sigmas: Float64Array): PlanCosts {
    const correlations = stepCorrelations(calibration, {
      solver: { timesteps: sigmas, sigmas },
      guidance: calibration.source.guidance,
    });
    if (correlations === undefined) {
      throw new RangeError(`Cannot find plans for ${sigmas.length} steps as they leave the recorded range`);
    }
    const { correlations: matrix, norms } = correlations;
    const steps = sigmas.length;
    return new PlanCosts({
      gram: matrix.map((value, k) => value * norms[Math.floor(k / steps)]! * norms[k % steps]!),
      weights: sigmas.map((sigma, i) => Math.abs(sigma - (sigmas[i + 1] ?? 0))),
      forecaster: new CalibratedForecaster(correlations),
    });
  }

  /**
   * Measures how much of an error at each step reaches the picture: runs with one gap compare the
   * picture's error with the predicted one. Later full passes correct early errors, and a decoder sees
   * some errors more than others.
   */
  async withSensitivity(
    trials: Trials,
    { set, calibration }: { set: TrialSet; calibration: ModelCalibration },
  ): Promise<PlanCosts> {
    const { steps } = set;
    const some = { ...set, name: "sensitivity", prompts: set.prompts.slice(0, GAP_PROMPTS) };
    const length = Math.max(1, Math.min(steps - 2, Math.round(steps / 12)));
    const last = steps - length;
    const starts = Array.from({ length: GAPS }, (_, i) => 1 + Math.round(i * (last - 1) / (GAPS - 1)));
    const measured: { at: number; ratio: number }[] = [];
    for (const start of new Set(starts)) {
      const plan = Array.from({ length: steps }, (_, i) => i)
        .filter((step) => step < start || step >= start + length);
      const psnrs = await trials.psnrs(plan, { set: some, calibration });
      const error = meanOf(psnrs.map((psnr) => 10 ** (-psnr / 10)));
      const cost = planCost(plan, this.#options);
      measured.push({ at: start + (length - 1) / 2, ratio: error / Math.max(cost, LEAST_COST) });
    }
    return new PlanCosts({
      ...this.#options,
      weights: Array.from(
        this.#options.weights,
        (weight, step) => weight * Math.sqrt(ratioAt(measured, step)),
      ),
    });
  }

  /** Returns the best plans for 1 to `maxPasses` full passes. */
  best(maxPasses: number): (readonly number[])[] {
    return findPlans({ ...this.#options, maxPasses, memory: 2 }).map(({ fullSteps }) => fullSteps);
  }

  /** Returns the best plans of another forecaster, whose errors the same products tell. */
  bestOf(forecaster: Forecaster, maxPasses: number): (readonly number[])[] {
    return findPlans({ ...this.#options, forecaster, maxPasses }).map(({ fullSteps }) => fullSteps);
  }

  /** Returns the predicted cost of a plan. */
  of(fullSteps: readonly number[]): number {
    return planCost(fullSteps, this.#options);
  }
}

/** Interpolates the logarithm between two measurements. */
function ratioAt(measured: readonly { at: number; ratio: number }[], step: number): number {
  const after = measured.findIndex(({ at }) => at >= step);
  if (after === 0) return measured[0]!.ratio;
  if (after === -1) return measured.at(-1)!.ratio;
  const [a, b] = [measured[after - 1]!, measured[after]!];
  const share = (step - a.at) / (b.at - a.at);
  return a.ratio ** (1 - share) * b.ratio ** share;
}
