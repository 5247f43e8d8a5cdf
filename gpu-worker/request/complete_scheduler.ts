// Checks the scheduler that a request asks for in place of the checkpoint's.
import {
  type ChosenScheduler,
  createSolver,
  deriveScheduler,
  SCHEDULER_NAMES,
  type SchedulerConfig,
} from "../../sampler/mod.ts";
import { badField } from "./bad_field.ts";

/** A scheduler as requests ask for it. */
export interface SchedulerRequest {
  /** Class in diffusers. @default the checkpoint's */
  name?: string | undefined;
  /** Options of its config, by diffusers' names. */
  options?: Readonly<Record<string, unknown>> | undefined;
}

export interface CompleteSchedulerOptions {
  /** The checkpoint's scheduler_config.json. */
  own: SchedulerConfig;
  steps: number;
}

/**
 * Returns the scheduler to run with, or undefined for the checkpoint's own.
 * @throws {OptionError} if it is unknown or does not serve the checkpoint
 */
export function completeScheduler(
  { name: given, options = {} }: SchedulerRequest,
  { own, steps }: CompleteSchedulerOptions,
): ChosenScheduler | undefined {
  const ownName = String(own._class_name);
  const name = given ?? ownName;
  const changed = Object.entries(options).filter(([key, value]) => name !== ownName || own[key] !== value);
  if (name === ownName && changed.length === 0) return undefined;
  const chosen = { name, options: Object.fromEntries(changed) };
  try {
    createSolver(deriveScheduler(own, chosen), {
      steps,
      imageSeqLen: 1,
      noise: (count) => new Float32Array(count),
    });
  } catch (cause) {
    throw schedulerError(cause);
  }
  return chosen;
}

/** Returns the classes that serve a checkpoint without options. Its own comes first. */
export function servingSchedulers(own: SchedulerConfig): string[] {
  const ownName = String(own._class_name);
  return [
    ownName,
    ...SCHEDULER_NAMES.filter((name) => {
      try {
        return name !== ownName && completeScheduler({ name }, { own, steps: 1 }) !== undefined;
      } catch {
        return false;
      }
    }),
  ];
}

/** Returns the refusal of a scheduler that `cause` has refused. Other errors stay. */
export function schedulerError(cause: unknown): unknown {
  if (!(cause instanceof TypeError || cause instanceof RangeError)) return cause;
  return badField("scheduler", `does not fit: ${cause.message}`);
}
