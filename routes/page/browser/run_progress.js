// How far a run is: one picture or several, one after the other or together, and how long it still takes.

/** @import { ProgressEvent, StepKind } from "./wire.d.ts" */

/** A forecast beside a full pass: next to nothing, and not nothing. */
const FORECAST = 0.05;

/** @typedef {{ steps: ProgressEvent[], finished: boolean }} PictureProgress */

export class RunProgress {
  #plan;
  /** @type {PictureProgress[]} */
  #pictures;

  /**
   * @param {readonly StepKind[]} plan Of each picture.
   * @param {number} count Pictures.
   */
  constructor(plan, count) {
    this.#plan = plan;
    this.#pictures = Array.from({ length: count }, () => ({ steps: [], finished: false }));
  }

  /** Adds a step. @param {ProgressEvent} event */
  add(event) {
    this.#at(event.image_index).steps.push(event);
  }

  /** Forgets the steps of a picture that another worker begins again. @param {number} index */
  restart(index) {
    this.#at(index).steps = [];
  }

  /** Marks a picture as finished. @param {number} index */
  finish(index) {
    this.#at(index).finished = true;
  }

  /** Whether all pictures are there. */
  get finished() {
    return this.#pictures.every(({ finished }) => finished);
  }

  /** The picture whose steps are shown: the first that is under way, else the last that was. */
  get shown() {
    const current = this.#pictures.findIndex(({ steps, finished }) => steps.length > 0 && !finished);
    return current >= 0
      ? current
      : Math.max(this.#pictures.findLastIndex(({ steps }) => steps.length > 0), 0);
  }

  /**
   * Returns the steps of a picture so far.
   *
   * @param {number} index @returns {readonly ProgressEvent[]}
   */
  stepsOf(index) {
    return this.#at(index).steps;
  }

  /** In words: "Step 3 of 50, 12 s left". */
  get words() {
    const { shown } = this;
    const last = this.stepsOf(shown).at(-1);
    const { length } = this.#pictures;
    const left = this.secondsLeft;
    return [
      ...(length > 1 ? [`Picture ${shown + 1} of ${length}`] : []),
      ...(last ? [`${length > 1 ? "step" : "Step"} ${last.step_index + 1} of ${last.steps}`] : []),
      ...(left === undefined || left < 1 ? [] : [`${showSeconds(left)} left`]),
    ].join(", ");
  }

  /** @returns {number | undefined} undefined before the first step. */
  get secondsLeft() {
    const begun = this.#pictures.filter(({ steps }) => steps.length > 0);
    if (begun.length === 0) return undefined;
    const times = begun.map((picture) => this.#times(picture));
    const mean = times.reduce((sum, { total }) => sum + total, 0) / times.length;
    const left = times.reduce((sum, { done, total }) => sum + Math.max(total - done, 0), 0) +
      mean * (this.#pictures.length - begun.length);
    // Pictures that are made together share the time.
    return left / Math.max(begun.filter(({ finished }) => !finished).length, 1);
  }

  /**
   * Seconds so far, and in all.
   *
   * @param {PictureProgress} picture
   */
  #times({ steps, finished }) {
    const last = steps.at(-1);
    const done = (last?.elapsed_ms ?? 0) / 1000;
    if (last === undefined || finished) return { done, total: done };
    const weighed = steps.reduce((sum, { kind }) => sum + weight(kind), 0);
    const rest = Array.from(
      { length: last.steps - last.step_index - 1 },
      (_, index) => weight(this.#plan[last.step_index + 1 + index] ?? "forecast"),
    ).reduce((sum, each) => sum + each, 0);
    return { done, total: done * (weighed + rest) / weighed };
  }

  /** @param {number} index @returns {PictureProgress} */
  #at(index = 0) {
    return this.#pictures[index] ?? { steps: [], finished: false };
  }
}

/** Writes a time as "12 s", "3 min" or "1 h 5 min": whole, and rounded up. @param {number} seconds */
export function showSeconds(seconds) {
  if (seconds <= 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {StepKind} kind */
function weight(kind) {
  return kind === "full" ? 1 : FORECAST;
}
