// The one wording of bad names in a scheduler's config.
import { showValue } from "./show_value.ts";

/** What an option must be one of. */
export interface ChoiceRule<T extends string> {
  /** As in scheduler_config.json. */
  name: string;
  choices: readonly T[];
}

/** @throws {TypeError} If `value` is none of the choices. */
export function assertChoice<T extends string>(value: string, rule: ChoiceRule<T>): asserts value is T {
  const { name, choices } = rule;
  if ((choices as readonly string[]).includes(value)) return;
  const list = [choices.slice(0, -1).join(", "), choices.at(-1)].filter(Boolean).join(" or ");
  throw new TypeError(
    `Cannot create the solver as '${name}' must be ${list}: current value is ${showValue(value)}`,
  );
}
