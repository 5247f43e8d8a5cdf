// The fields of one method and its options. Empty option fields leave the default to the service.
import { fromTemplate, slot } from "./slots.js";
import { METHOD_OPTIONS } from "./method_options.js";
import { numberIn } from "./field_errors.js";
import { planSteps } from "./plan_steps.js";

/** @import { Method, SpectrumOptions } from "./wire.d.ts" */

export class MethodFields {
  #note;
  #plan;
  #steps = 50;

  /**
   * @param {{ title: string, name: string, method: Method, onChange: () => void }} options `name` sets the two copies'
   *   radio buttons apart.
   */
  constructor({ title, name, method, onChange }) {
    this.element = fromTemplate("method-template");
    this.#note = slot(this.element, "note", HTMLElement);
    this.#plan = slot(this.element, "plan", HTMLElement);
    this.title = title;
    for (const radio of this.#radios()) radio.name = name;
    this.value = { method };
    this.element.addEventListener("input", (event) => {
      const target = event.target;
      // Another method has other defaults: what was typed for the last one would surprise here.
      if (target instanceof HTMLInputElement && target.type === "radio") {
        this.value = { method: this.#method() };
      }
      this.#refresh();
      onChange();
    });
    for (const chip of this.element.querySelectorAll("button")) {
      chip.addEventListener("click", () => {
        this.value = { method: this.#method(), flex_window: Number(chip.dataset["preset"]) };
        onChange();
      });
    }
  }

  /** @param {string} title */
  set title(title) {
    const legend = this.element.querySelector("legend");
    if (legend) legend.textContent = title;
  }

  /** @param {number} steps The length of the run that the plan is shown for. */
  set steps(steps) {
    this.#steps = steps;
    this.#refresh();
  }

  /** @returns {SpectrumOptions} What goes on the wire: the method and the options that were typed. */
  get value() {
    const method = this.#method();
    const typed = this.#inputs().filter((input) => !this.#isForeign(input)).map((
      input,
    ) => [input.name, numberIn(input)]);
    return { method, ...Object.fromEntries(typed.filter(([, value]) => value !== undefined)) };
  }

  /** @param {SpectrumOptions} value */
  set value(value) {
    for (const radio of this.#radios()) radio.checked = radio.value === value.method;
    for (const input of this.#inputs()) {
      const option = value[/** @type {keyof SpectrumOptions} */ (input.name)];
      input.value = option === undefined ? "" : String(option);
    }
    this.#refresh();
  }

  /** Which steps will be full, as far as the options are in range. */
  plan() {
    const { method, defaults } = { ...METHOD_OPTIONS[this.#method()], method: this.#method() };
    const options = { ...defaults, ...this.value, method };
    const steps = Math.min(Math.max(Math.trunc(this.#steps), 0), 1000);
    return planSteps(steps, { ...options, window_size: Math.max(options.window_size, 1) });
  }

  #refresh() {
    const method = this.#method();
    const { note, defaults } = METHOD_OPTIONS[method];
    this.#note.textContent = note;
    for (const part of this.element.querySelectorAll("[data-methods]")) {
      if (part instanceof HTMLElement) part.hidden = !part.dataset["methods"]?.split(" ").includes(method);
    }
    for (const input of this.#inputs()) {
      const name = /** @type {keyof typeof defaults} */ (input.name);
      input.placeholder = String(defaults[name]);
    }
    const details = this.element.querySelector("details");
    if (details) details.hidden = method === "none";

    const plan = this.plan();
    const passes = plan.filter((kind) => kind === "full").length;
    const limit = passes > 0 ? (plan.length / passes).toFixed(2) : "1.00";
    this.#plan.textContent = `${passes} full passes in ${plan.length} steps, at most ${limit}× as fast`;
  }

  /** @returns {Method} */
  #method() {
    const checked = this.#radios().find((radio) => radio.checked);
    return /** @type {Method} */ (checked?.value ?? "spectrum");
  }

  #radios() {
    return [
      .../** @type {NodeListOf<HTMLInputElement>} */ (this.element.querySelectorAll("input[type=radio]")),
    ];
  }

  #inputs() {
    return [
      .../** @type {NodeListOf<HTMLInputElement>} */ (this.element.querySelectorAll("input[type=number]")),
    ];
  }

  /** @param {HTMLElement} input */
  #isForeign(input) {
    return this.#method() === "none" || input.closest("[hidden]") !== null;
  }
}
