// Two configs of one checkpoint that must agree.
import { CheckpointError } from "./checkpoint_error.ts";

export interface Fit {
  value: number;
  expected: number;
  /** The owner of the expected number, as the message names it. */
  of: string;
}

/**
 * Checks a size of the transformer's config against another config.
 * @throws {CheckpointError} naming `option` of the transformer's config, unless it has the expected value.
 */
export function assertFit(option: string, { value, expected, of }: Fit): void {
  if (value === expected) return;
  throw new CheckpointError(
    `Cannot use transformer/config.json: '${option}' must be ${of} (${expected}), but is ${value}`,
  );
}
