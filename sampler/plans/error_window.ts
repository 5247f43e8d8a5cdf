// The window under an error budget. Each full pass measures the error of its own forecast, which decides when
// the next full pass is due. A solver of differential equations chooses its step in the same way.

import type { OptionsOf } from "../options/option_table.ts";

/** Options of the window. */
export type ErrorWindowOptions = Omit<OptionsOf<"errorBudget" | "window">, "flexWindow">;

/**
 * Most features that a run under an error budget keeps. The bound on memory is needed
 * because the plan is not known.
 */
export const MAX_BUDGET_SLOTS = 16;

/** Largest factor by which one measurement changes the window. */
const MAX_CHANGE = 2;

/**
 * Decides, full pass by full pass, when the next one is due.
 *
 * After the warm-up the window begins at `windowSize`. A full pass that measures the relative error e
 * multiplies it by sqrt(errorBudget / e), at most doubling or halving it. The root is there because the error
 * of extrapolation grows about with the square of the distance. The last `tailSteps` steps are full passes.
 */
export class ErrorWindow {
  readonly #steps: number;
  readonly #options: ErrorWindowOptions;
  #window: number;

  /** For one run of `steps` steps. */
  constructor(steps: number, options: ErrorWindowOptions) {
    this.#steps = steps;
    this.#options = options;
    this.#window = options.windowSize;
  }

  /**
   * Returns the step at which the next full pass is due.
   *
   * @param step Index of a full pass.
   * @param error The error that it measured, if any.
   * @returns The index of the next full pass; the number of steps, or more, where there is none.
   */
  next(step: number, error: number | undefined): number {
    const { errorBudget, warmupSteps, tailSteps } = this.#options;
    if (step + 1 < warmupSteps) return step + 1;
    if (step >= warmupSteps && error !== undefined) {
      const change = Math.sqrt(errorBudget / Math.max(error, Number.MIN_VALUE));
      this.#window = Math.max(1, this.#window * Math.min(MAX_CHANGE, Math.max(1 / MAX_CHANGE, change)));
    }
    const due = step + Math.floor(this.#window);
    const tail = this.#steps - tailSteps;
    return due < tail ? due : Math.max(tail, step + 1);
  }
}
