// Reads a scheduler_config.json against the options that the scheduler's class defines: names in
// snake_case become camelCase, absent ones take their default, and what the class does not define is
// refused rather than ignored.

import { showValue } from "../../numerics/show_value.ts";

/** The parsed scheduler_config.json of a checkpoint. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;

/** A value of an option. */
export type SchedulerConfigValue = number | boolean | string | readonly number[] | object | null;

/** The options that a scheduler class defines. */
export interface SchedulerConfigSchema<T> {
  className: string;
  /** Every option with its default, whose type is the option's; null stands for an optional number. */
  defaults: T;
  /** Types of optional options that are no number. */
  optional?: Partial<Readonly<Record<keyof T, OptionType>>>;
  /** Options that may be null although their default is not. */
  nullable?: readonly (keyof T)[];
  /** Options of other classes, in snake_case, that published configs hold and diffusers passes over. */
  ignored?: ReadonlySet<string>;
}

/** An array is one of numbers. */
export type OptionType = "number" | "boolean" | "string" | "array" | "object";

/**
 * Checks a scheduler's options against the class and fills in its defaults.
 * @throws {TypeError} If an option is not defined by the class or has another type. Keys that open
 * with an underscore are diffusers' own notes and pass; options listed in `_use_default_values` take
 * their default, as there.
 */
export function readSchedulerConfig<T extends { [K in keyof T]: SchedulerConfigValue }>(
  config: SchedulerConfig,
  schema: SchedulerConfigSchema<T>,
): T {
  const { className, defaults, optional, nullable = [], ignored } = schema;
  const unset = config._use_default_values;
  // deriveScheduler() lists the options that come from another class.
  const borrowed = config._borrowed;
  const result: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith("_") || (Array.isArray(unset) && unset.includes(key))) continue;
    const name = key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (!Object.hasOwn(defaults, name)) {
      if (Array.isArray(borrowed) ? borrowed.includes(key) : ignored?.has(key)) continue;
      throw new TypeError(
        `Cannot use the scheduler config as ${className} has no option '${showValue(key)}'`,
      );
    }
    const option = name as keyof T;
    const fallback = defaults[option];
    const type = fallback === null ? optional?.[option] ?? "number" : typeOf(fallback);
    const mayBeNull = fallback === null || nullable.includes(option);
    if (typeOf(value) !== type && !(mayBeNull && value === null)) {
      throw new TypeError(
        `Cannot use the scheduler config as '${key}' of ${className} must be ${
          article(type)
        }: current value is ${showValue(JSON.stringify(value))}`,
      );
    }
    result[name] = value;
  }
  return result as T;
}

function typeOf(value: unknown): string {
  if (!Array.isArray(value)) return typeof value;
  return value.every((item) => typeof item === "number") ? "array" : "mixed array";
}

function article(type: string): string {
  switch (type) {
    case "array":
      return "an array of numbers";
    case "object":
      return "an object";
    default:
      return `a ${type}`;
  }
}
