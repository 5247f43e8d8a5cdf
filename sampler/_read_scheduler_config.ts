// Reads a scheduler_config.json against the options that the scheduler's class defines: names in snake_case become
// camelCase, absent ones take their default, and what the class does not define is refused rather than ignored.

import type { SchedulerConfig } from "./solver.ts";

/** What an option may hold. */
export type SchedulerConfigValue = number | boolean | string | null;

/** What the class defines. */
export interface SchedulerConfigSchema<T> {
  className: string;
  /** Every option with its default, whose type is the option's. A null default stands for an optional number. */
  defaults: T;
  /** Options that may be null although their default is not. */
  nullable?: readonly (keyof T)[];
}

/**
 * @throws {TypeError} If an option is not defined by the class or has another type. Keys that open with an underscore are
 * diffusers' own notes and pass.
 */
export function readSchedulerConfig<T extends { [K in keyof T]: SchedulerConfigValue }>(
  config: SchedulerConfig,
  schema: SchedulerConfigSchema<T>,
): T {
  const { className, defaults, nullable = [] } = schema;
  const result: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith("_")) continue;
    const name = key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (!Object.hasOwn(defaults, name)) {
      throw new TypeError(`Cannot use the scheduler config as ${className} has no option '${key}'`);
    }
    const fallback = defaults[name as keyof T];
    const type = fallback === null ? "number" : typeof fallback;
    const mayBeNull = fallback === null || nullable.includes(name as keyof T);
    if (typeof value !== type && !(mayBeNull && value === null)) {
      throw new TypeError(
        `Cannot use the scheduler config as '${key}' of ${className} must be a ${type}: current value is ${
          JSON.stringify(value)
        }`,
      );
    }
    result[name] = value;
  }
  return result as T;
}
