// Phases of a run whose networks take turns. Each phase is a run of its own: it begins with a full pass,
// plans its own full passes, and forecasts from its own features alone.

import type { Forecaster } from "../forecasters/forecaster.ts";

/** First steps of a run's phases, ascending from 0. */
export type Phases = readonly number[];

/** A run in one piece. */
export const ONE_PHASE: Phases = [0];

/** A phase's steps: from `start` to `end`, exclusive. */
export interface Phase {
  start: number;
  end: number;
}

/**
 * Returns all phases of a run of `steps` steps.
 * @throws {RangeError} If `phases` do not ascend from 0 to less than `steps`.
 */
export function listPhases(steps: number, phases: Phases): Phase[] {
  const ascends = phases[0] === 0 && phases.every((start, i) => i === 0 || start > phases[i - 1]!);
  if (!ascends || phases.at(-1)! >= steps) {
    throw new RangeError(
      `Cannot plan phases as they must ascend from 0 to less than ${steps}: they are ${phases}`,
    );
  }
  return phases.map((start, i) => ({ start, end: phases[i + 1] ?? steps }));
}

/** Options that decide a run in phases. */
export interface PhasedOptions {
  /** Steps of the whole run. */
  steps: number;
  /** First step of each phase. */
  phases: Phases;
}

/**
 * Returns a forecaster that counts each phase's steps from the phase's first.
 * @param make creates it for a number of steps
 */
export function phasedForecaster(
  make: (steps: number) => Forecaster,
  { steps, phases }: PhasedOptions,
): Forecaster {
  const all = listPhases(steps, phases).map((phase) => ({ ...phase, own: make(phase.end - phase.start) }));
  const { memory } = all[0]!.own;
  return {
    ...memory !== undefined && { memory },
    weights(step, anchors) {
      const { start, own } = all.findLast(({ start }) => start <= step)!;
      return own.weights(step - start, anchors.map((anchor) => anchor - start));
    },
  };
}

/** Decides when the next full pass is due, as `ErrorWindow` does. */
export interface PassWindow {
  /** Returns the step of the next full pass. @param error relative forecast error measured at `step` */
  next(step: number, error: number | undefined): number;
}

/** Returns a window that begins anew in each phase. @param make creates it for a number of steps */
export function phasedWindow(
  make: (steps: number) => PassWindow,
  { steps, phases }: PhasedOptions,
): PassWindow {
  const all = listPhases(steps, phases).map((phase) => ({ ...phase, own: make(phase.end - phase.start) }));
  return {
    next(step, error) {
      const { start, end, own } = all.findLast(({ start }) => start <= step)!;
      return Math.min(end, start + own.next(step - start, error));
    },
  };
}
