// The seed: typed, drawn with the dice, or kept with the lock.
import { numberIn } from "./field_errors.js";

/** @import { FormInputs } from "./form_inputs.js" */

/** Drawn seeds are below: short enough to be read out. */
const DRAWN_SEEDS = 1_000_000;

export class SeedField {
  #input;
  #lock;

  /**
   * @param {FormInputs} inputs
   * @param {{ onChange: () => void }} options
   */
  constructor(inputs, { onChange }) {
    this.#input = inputs.input("seed");
    this.#lock = inputs.find("#lock", HTMLButtonElement);
    this.#lock.addEventListener("click", () => {
      this.locked = !this.locked;
      onChange();
    });
    inputs.find("#dice", HTMLButtonElement).addEventListener("click", () => {
      this.#input.value = String(drawSeed());
      onChange();
    });
  }

  /** Whether each run has the seed of the last one. */
  get locked() {
    return this.#lock.getAttribute("aria-pressed") === "true";
  }

  set locked(locked) {
    this.#lock.setAttribute("aria-pressed", String(locked));
  }

  /** Returns the seed of the next run. An empty field, and one that is not locked, gets a drawn one. */
  next() {
    if (!this.locked) this.#input.value = String(drawSeed());
    return numberIn(this.#input) ?? drawSeed();
  }
}

function drawSeed() {
  return Math.floor(Math.random() * DRAWN_SEEDS);
}
