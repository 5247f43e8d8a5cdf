// Predicts the error of step plans from a calibration, and finds the plans that it predicts to be best.
import {
  CalibratedForecaster,
  type Coordinate,
  findPlans,
  type FindPlansOptions,
  type Forecaster,
  type StepCorrelations,
  stepCorrelations,
} from "../../../sampler/mod.ts";
import type { ModelCalibration } from "../../request/model_calibration.ts";
import { movesOf, type Plan } from "./plan_moves.ts";

/** Later full passes pull errors back, more of them at high noise levels. */
const KEPT_BELOW = 0.2;
/** The first moves of a climb are by this share of the steps. */
const FIRST_STRIDE = 1 / 12;

/** The part of a plan search that needs no run. */
export class PlanCosts {
  readonly #correlations: StepCorrelations;
  readonly #coordinate: Coordinate;
  readonly #options: Omit<FindPlansOptions, "maxPasses" | "memory" | "forecaster">;

  constructor(calibration: ModelCalibration, sigmas: Float64Array) {
    const correlations = stepCorrelations(calibration, {
      solver: { timesteps: sigmas, sigmas },
      guidance: calibration.source.guidance,
    });
    if (correlations === undefined) {
      throw new RangeError(`Cannot find plans for ${sigmas.length} steps as they leave the recorded range`);
    }
    const { correlations: matrix, norms } = correlations;
    const steps = sigmas.length;
    this.#correlations = correlations;
    this.#coordinate = calibration.coordinate;
    this.#options = {
      gram: matrix.map((value, k) => value * norms[Math.floor(k / steps)]! * norms[k % steps]!),
      weights: sigmas.map((sigma, i) => Math.abs(sigma - (sigmas[i + 1] ?? 0))),
    };
  }

  /**
   * Returns the predicted cost of a plan: the latents' expected errors at the ends of its gaps, each as far as
   * the picture keeps it.
   */
  of(fullSteps: Plan): number {
    const { sigmas } = this.#correlations;
    const errors = new CalibratedForecaster(this.#correlations, { fullSteps }).expectedErrors();
    return errors.reduce(
      (sum, squared, gap) =>
        sum + squared * keptShare(sigmas[fullSteps[gap + 1] ?? sigmas.length - 1]!, this.#coordinate),
      0,
    );
  }

  /**
   * Returns the best plans for 1 to `maxPasses` full passes. Dynamic programming takes gaps as unrelated; its
   * plans are moved as long as that lowers the cost.
   */
  best(maxPasses: number): Plan[] {
    return this.bestOf(new CalibratedForecaster(this.#correlations), maxPasses)
      .map((plan) => this.#climb(plan));
  }

  /** Returns the plans of least error for any forecaster. The same products tell its errors. */
  bestOf(forecaster: Forecaster, maxPasses: number): Plan[] {
    const memory = forecaster.memory ?? 2;
    return findPlans({ ...this.#options, forecaster, maxPasses, memory }).map(({ fullSteps }) => fullSteps);
  }

  /** Moves passes, by ever fewer steps, as long as that lowers the cost. */
  #climb(plan: Plan): Plan {
    const steps = this.#correlations.norms.length;
    let best = { plan, cost: this.of(plan) };
    for (let stride = Math.ceil(steps * FIRST_STRIDE); stride >= 1; stride = Math.floor(stride / 2)) {
      for (let before; before !== best;) {
        before = best;
        for (const moved of movesOf(best.plan, { steps, stride })) {
          const cost = this.of(moved);
          if (cost < best.cost) best = { plan: moved, cost };
        }
      }
    }
    return best.plan;
  }
}

/** How much of a squared error at a noise level reaches the picture, up to a factor. */
function keptShare(sigma: number, coordinate: Coordinate): number {
  if (coordinate === "sigma") return 1 / (sigma + KEPT_BELOW);
  // Latents of the level sigma are a flow's latents, of the level sigma / (1 + sigma), times 1 + sigma.
  return keptShare(sigma / (1 + sigma), "sigma") / (1 + sigma) ** 2;
}
