// Checks a name in a scheduler's config; all such errors have this wording.
import { showValue } from "./show_value.ts";

/** The names that an option may have. */
export interface ChoiceRule<T extends string> {
  /** Name of the option in scheduler_config.json. */
  name: string;
  choices: readonly T[];
}

/** Checks a name. @throws {TypeError} If `value` is not one of the choices. */
export function assertChoice<T extends string>(value: string, rule: ChoiceRule<T>): asserts value is T {
  const { name, choices } = rule;
  if ((choices as readonly string[]).includes(value)) return;
  const list = [choices.slice(0, -1).join(", "), choices.at(-1)].filter(Boolean).join(" or ");
  throw new TypeError(
    `Cannot create the solver as '${name}' must be ${list}: current value is ${showValue(value)}`,
  );
}
