// The error for a field of a request that breaks a rule.
import { OptionError, type OptionErrorOptions } from "../../sampler/mod.ts";

/**
 * Creates the error of a request's field.
 * @param problem the rule and the value; a function quotes the other fields that it names
 */
export function badField(field: string, problem: OptionErrorOptions["problem"]): OptionError {
  return new OptionError({ action: "generate", option: field, problem });
}
