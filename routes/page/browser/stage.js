// The stage beside the form: the plan or runs that it shows, and their comparison.
import { comparisonView } from "./comparison_view.js";
import { RunView } from "./run_view.js";

/** @import { Finished } from "./run_request.js" */
/** @import { Method, StepKind } from "./wire.d.ts" */

/**
 * @typedef {{ method: Method, plan: StepKind[], count?: number, facts?: Record<string, string> | undefined }}
 * PlannedRun `count` pictures; `facts` about the model are shown with a plan.
 */

export class Stage {
  #element;
  #runs;
  #comparison;
  /** @type {RunView[]} */
  #views = [];
  /** Whether what is shown may give way to a new plan: pictures stay. */
  #planning = true;
  /** The plan, as text. */
  #planned = "";

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
    this.#runs = /** @type {HTMLElement} */ (element.querySelector("#runs"));
    this.#comparison = /** @type {HTMLElement} */ (element.querySelector("#comparison"));
  }

  /** Shows the plans of runs. @param {readonly PlannedRun[]} runs Shown unless there is a picture. */
  plan(runs) {
    const planned = JSON.stringify(runs);
    if (this.#planning && planned !== this.#planned) this.#show(runs);
    this.#planned = planned;
  }

  /**
   * Sets the stage for runs.
   *
   * @param {readonly PlannedRun[]} runs
   * @returns {readonly RunView[]}
   */
  open(runs) {
    this.#planning = false;
    this.#element.setAttribute("aria-busy", "true");
    this.#show(runs);
    for (const view of this.#views.slice(1)) view.wait();
    // On a narrow screen the stage is below the form.
    if (this.#runs.getBoundingClientRect().top > innerHeight * 0.6) this.#element.scrollIntoView();
    return this.#views;
  }

  /** Shows the results. The first pictures of two runs are compared. @param {readonly Finished[][]} runs */
  async close(runs) {
    const finished = runs.flatMap(([first]) => first ?? []);
    this.#planning = finished.length === 0;
    this.#element.setAttribute("aria-busy", "false");
    const [first, second] = finished;
    if (!first || !second) return;
    const views = this.#views;
    const totals = finished.map(({ receipt }) => receipt.seconds.total);
    for (const [index, view] of views.entries()) view.timeScale = (totals[index] ?? 0) / Math.max(...totals);
    const comparison = await comparisonView(first, second);
    if (views === this.#views) this.#comparison.replaceChildren(comparison);
  }

  /**
   * Shows a finished run of before, and takes the focus there.
   *
   * @param {PlannedRun} run
   * @param {Finished} finished
   */
  restore(run, finished) {
    this.#planning = false;
    this.#show([run]);
    this.#views[0]?.finish(finished);
    this.#element.focus();
  }

  /** @param {readonly PlannedRun[]} runs */
  #show(runs) {
    for (const view of this.#views) view.dispose();
    this.#views = runs.map((run) => new RunView(run));
    this.#runs.replaceChildren(...this.#views.map((view) => view.element));
    this.#runs.dataset["count"] = String(runs.length);
    this.#comparison.replaceChildren();
  }
}
