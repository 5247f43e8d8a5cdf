// The strip of a run: one cell for each step. Full passes stand tall, forecasts are short and hatched, steps
// to come are outlines; below the line hang the forecast errors measured at full passes.

/** @import { Receipt, StepKind } from "./wire.d.ts" */

// Errors from 0.1 % to 100 % are drawn on a logarithmic scale that all strips share, so
// that they can be compared.
const SMALLEST_ERROR = 1e-3;

export class StepStrip {
  #element;
  /** @type {HTMLElement[]} */
  #cells = [];

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
    element.setAttribute("role", "progressbar");
    element.setAttribute("aria-label", "Steps");
    element.setAttribute("aria-valuemin", "0");
  }

  /**
   * Starts anew with the steps to come.
   *
   * @param {readonly StepKind[]} plan
   */
  plan(plan) {
    this.#cells = plan.map((kind, index) => this.#cell(kind, { at: index / Math.max(plan.length - 1, 1) }));
    this.#element.style.setProperty("--gap", plan.length > 300 ? "0" : plan.length > 80 ? "1px" : "2px");
    this.#element.style.setProperty("--steps", String(plan.length));
    this.#element.replaceChildren(...this.#cells);
    this.#element.setAttribute("aria-valuemax", String(plan.length));
    delete this.#element.dataset["state"];
    this.#say(0, `${passes(plan)} full passes planned in ${plan.length} steps`);
  }

  /**
   * Marks a step as done.
   *
   * @param {{ index: number, steps: number, kind: StepKind, error?: number | undefined }} step
   */
  done({ index, steps, kind, error }) {
    // The service decides: a plan that the page got wrong is drawn again.
    if (steps !== this.#cells.length) this.plan(new Array(steps).fill("forecast"));
    const cell = this.#cells[index];
    if (cell === undefined) return;
    cell.dataset["kind"] = kind;
    cell.dataset["state"] = "done";
    cell.title = `Step ${index}: ${kind === "full" ? "full pass" : "forecast"}`;
    if (error !== undefined) {
      cell.title += `, forecast would have erred by ${(error * 100).toPrecision(2)} %`;
      cell.style.setProperty("--error", String(errorHeight(error)));
      cell.classList.add("has-error");
    }
    this.#element.dataset["state"] = "running";
    const next = this.#cells[index + 1];
    if (next) next.dataset["state"] = "next";
    this.#say(index + 1, `Step ${index + 1} of ${steps}, ${kind === "full" ? "full pass" : "forecast"}`);
  }

  /** Shows a finished run. @param {Receipt} receipt */
  finish(receipt) {
    const full = new Set(receipt.full_steps);
    // Fewer than the request's where it started from an image.
    const steps = receipt.full_steps.length + receipt.forecast_steps.length;
    for (let index = 0; index < steps; index++) {
      const kind = full.has(index) ? "full" : "forecast";
      this.done({ index, steps, kind, error: receipt.forecast_errors[index] });
    }
    this.stop();
    this.#say(steps, `${full.size} full passes and ${receipt.forecast_steps.length} forecasts`);
  }

  /** Marks the run as over, finished or not. */
  stop() {
    this.#element.dataset["state"] = "stopped";
    for (const cell of this.#cells) if (cell.dataset["state"] === "next") delete cell.dataset["state"];
  }

  /**
   * @param {StepKind} kind
   * @param {{ at: number }} options Place in the run, 0..1.
   */
  #cell(kind, { at }) {
    const cell = document.createElement("i");
    cell.className = "step";
    cell.dataset["kind"] = kind;
    cell.style.setProperty("--at", at.toFixed(4));
    return cell;
  }

  /**
   * @param {number} value
   * @param {string} text
   */
  #say(value, text) {
    this.#element.setAttribute("aria-valuenow", String(value));
    this.#element.setAttribute("aria-valuetext", text);
  }
}

/** @param {readonly StepKind[]} plan */
function passes(plan) {
  return plan.filter((kind) => kind === "full").length;
}

/**
 * 0..1
 *
 * @param {number} error
 */
function errorHeight(error) {
  const height = 1 - Math.log10(Math.max(error, SMALLEST_ERROR)) / Math.log10(SMALLEST_ERROR);
  return Math.min(Math.max(height, 0.06), 1);
}
