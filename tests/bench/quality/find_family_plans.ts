// Plans for the families that have one, from the features that the checkpoint's calibration has recorded.
import { createForecaster, findPlans, SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";
import type { ModelCalibration } from "../../../gpu-worker/request/model_calibration.ts";
import { FAMILIES, PASSES, type PlansByFamily } from "./fidelity_methods.ts";
import { STEPS } from "./methods.ts";

/** Returns the plans by family, then by number of passes. Those of method calibrated are the stored ones. */
export function findFamilyPlans({ grid, norms, products, plans }: ModelCalibration): PlansByFamily {
  if (grid.length !== STEPS) {
    throw new RangeError(`Cannot find plans as the calibration has ${grid.length} steps`);
  }
  const { conditional, unconditional } = products;
  const gram = conditional.map((value, k) =>
    (value + unconditional![k]!) * norms[Math.floor(k / STEPS)]! * norms[k % STEPS]!
  );
  const weights = grid.map((sigma, i) => sigma - (grid[i + 1] ?? 0));
  return Object.fromEntries(
    FAMILIES.filter(({ planned }) => planned).map(({ name, sampler }) => {
      if (sampler.method === "calibrated") {
        return [name, Object.fromEntries(PASSES.map((passes) => [passes, plans[STEPS]![passes]!.fullSteps]))];
      }
      const options = { ...SAMPLER_DEFAULTS[sampler.method], ...sampler };
      const forecaster = createForecaster(options, STEPS);
      const found = findPlans({ gram, weights, forecaster, maxPasses: Math.max(...PASSES) });
      return [name, Object.fromEntries(PASSES.map((passes) => [passes, found[passes - 1]!.fullSteps]))];
    }),
  );
}
