// Ways to space sigmas between the first and the last one, as diffusers' schedulers share them
// (`_convert_to_karras`, `_convert_to_exponential`, `_convert_to_beta`). All in float64.

import { betaQuantile } from "../../numerics/beta_quantile.ts";
import { linspace } from "../../numerics/linspace.ts";

/** Names of the spacings that replace a scheduler's own. */
export type SigmaSpacing = "karras" | "exponential" | "beta";

/** The ends of the grid; sigmas descend from `max` to `min`. */
export interface SigmaRange {
  max: number;
  min: number;
  count: number;
}

/** Returns sigmas in the given spacing, float64 [count]. */
export function spaceSigmas(spacing: SigmaSpacing, range: SigmaRange): Float64Array {
  switch (spacing) {
    case "karras":
      return karras(range);
    case "exponential":
      return linspace(Math.log(range.max), Math.log(range.min), range.count).map(Math.exp);
    case "beta":
      return linspace(0, 1, range.count).map((p) =>
        range.min + betaQuantile(1 - p) * (range.max - range.min)
      );
    default:
      throw new TypeError(`Cannot space sigmas as the spacing is unknown: ${spacing satisfies never}`);
  }
}

/** Karras et al. 2022 (arXiv 2206.00364), equation 5 with rho = 7. */
function karras({ max, min, count }: SigmaRange): Float64Array {
  const rho = 7;
  const start = max ** (1 / rho);
  const end = min ** (1 / rho);
  return linspace(0, 1, count).map((ramp) => (start + ramp * (end - start)) ** rho);
}
