// Checks a number; all such errors of the sampler have this wording.
import { OptionError } from "./option_error.ts";
import { showValue } from "./show_value.ts";

/** The rule for a number. Bounds are inclusive. */
export interface NumberRule {
  /** Completes "Cannot ...". */
  action: string;
  name: string;
  integer?: boolean;
  min?: number;
  max?: number;
}

/** Checks a number. @throws {OptionError} If `value` is not a finite number within the rule. */
export function assertNumber(value: unknown, rule: NumberRule): asserts value is number {
  const { action, name, integer = false, min = -Infinity, max = Infinity } = rule;
  const fits = Number.isFinite(value) && (!integer || Number.isInteger(value)) &&
    (value as number) >= min && (value as number) <= max;
  if (!fits) {
    const kind = integer ? "an integer" : "a number";
    throw new OptionError({
      action,
      option: name,
      problem: `must be ${kind}${bounds(min, max)}: current value is ${showValue(value)}`,
    });
  }
}

function bounds(min: number, max: number): string {
  if (min !== -Infinity && max !== Infinity) return ` in ${min}..${max}`;
  if (min !== -Infinity) return ` >= ${min}`;
  return max !== Infinity ? ` <= ${max}` : "";
}
