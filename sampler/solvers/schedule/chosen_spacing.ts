// Reads which spacing of sigmas a scheduler's flags choose.

import type { SigmaSpacing } from "./sigma_spacing.ts";

/** Null counts as false, as in diffusers. */
export interface SpacingFlags {
  useKarrasSigmas: boolean | null;
  useExponentialSigmas: boolean | null;
  useBetaSigmas: boolean | null;
}

/**
 * Returns the spacing that the flags choose, or undefined if none is set.
 * @throws {TypeError} If the flags choose several spacings.
 */
export function chosenSpacing(flags: SpacingFlags): SigmaSpacing | undefined {
  const chosen: SigmaSpacing[] = [];
  if (flags.useKarrasSigmas) chosen.push("karras");
  if (flags.useExponentialSigmas) chosen.push("exponential");
  if (flags.useBetaSigmas) chosen.push("beta");
  if (chosen.length > 1) {
    throw new TypeError(
      "Cannot create the solver as only one of karras, exponential and beta sigmas can be used: " +
        `current value is ${chosen.join(", ")}`,
    );
  }
  return chosen[0];
}
