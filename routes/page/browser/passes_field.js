// How many full passes: the model's own choice, a quality by name, or a number on a slider.
import { choice } from "./option_fields.js";
import { QUALITY_LEVELS } from "./sampler_table.js";
import { slot } from "./slots.js";

/** @import { SpectrumOptions } from "./wire.d.ts" */

/** @typedef {keyof typeof QUALITY_LEVELS} Quality */
/** @typedef {Pick<SpectrumOptions, "passes" | "quality">} PassesChoice */

const LABELS = { auto: "Auto", draft: "Draft", good: "Good", high: "High" };
/** The slider ends here unless more was asked for: beyond, passes buy nothing that can be seen. */
const MOST = 24;

export class PassesField {
  #root;
  #radios;
  #slider;
  #count;
  /** @type {number | undefined} */
  #passes;

  /**
   * @param {HTMLElement} root
   * @param {{ name: string, onChange: () => void }} options `name` sets its radio buttons apart from others.
   */
  constructor(root, { name, onChange }) {
    this.#root = root;
    this.#slider = slot(root, "slider", HTMLInputElement);
    this.#count = slot(root, "count", HTMLElement);
    const choices = Object.entries(LABELS).map(([value, label]) => choice({ name, value, label }));
    slot(root, "qualities", HTMLElement).append(...choices);
    this.#radios = [.../** @type {NodeListOf<HTMLInputElement>} */ (root.querySelectorAll("[type=radio]"))];
    for (const [quality, psnr] of Object.entries(QUALITY_LEVELS)) {
      const radio = this.#radios.find(({ value }) => value === quality);
      if (radio) radio.title = `At least ${psnr} dB against all steps in full, on prompts kept to measure it`;
    }
    this.value = {};
    root.addEventListener("input", (event) => {
      this.value = event.target === this.#slider
        ? { passes: this.#slider.valueAsNumber }
        : this.#quality() ?? {};
      onChange();
    });
  }

  set hidden(/** @type {boolean} */ hidden) {
    this.#root.hidden = hidden;
  }

  /** @returns {PassesChoice} Nothing where the model chooses. */
  get value() {
    return this.#passes !== undefined ? { passes: this.#passes } : this.#quality() ?? {};
  }

  /** @param {PassesChoice} value */
  set value({ passes, quality }) {
    this.#passes = passes || undefined;
    const checked = passes ? undefined : quality ?? "auto";
    for (const radio of this.#radios) radio.checked = radio.value === checked;
  }

  /** Shows the plan that the choice leads to. @param {{ passes: number, steps: number }} plan */
  show({ passes, steps }) {
    this.#slider.max = String(Math.min(Math.max(MOST, this.#passes ?? 0), Math.max(steps, 2)));
    this.#slider.value = String(this.#passes ?? passes);
    this.#count.textContent = `${passes} of ${steps}`;
  }

  /** @returns {{ quality: Quality } | undefined} */
  #quality() {
    const value = this.#radios.find(({ checked }) => checked)?.value;
    return value === undefined || value === "auto" ? undefined : { quality: /** @type {Quality} */ (value) };
  }
}
