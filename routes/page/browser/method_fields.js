// The fields of one method and its options. Empty option fields leave the default to the service.
import { numberIn } from "./field_errors.js";
import { METHOD_OPTIONS, WINDOW } from "./method_options.js";
import { methodChoices, optionFields } from "./option_fields.js";
import { planSteps } from "./plan_steps.js";
import { fromTemplate, slot } from "./slots.js";

/** @import { MethodDefaults } from "./method_options.js" */
/** @import { Method, SpectrumOptions, StepKind } from "./wire.d.ts" */

export class MethodFields {
  #note;
  #plan;
  #steps = 50;
  /** @type {SpectrumOptions | undefined} */
  #modelDefaults;

  /**
   * @param {{ title: string, name: string, method: Method, onChange: () => void }} options `name` sets the two copies'
   *   radio buttons apart.
   */
  constructor({ title, name, method, onChange }) {
    this.element = fromTemplate("method-template");
    this.#note = slot(this.element, "note", HTMLElement);
    this.#plan = slot(this.element, "plan", HTMLElement);
    this.title = title;
    slot(this.element, "methods", HTMLElement).append(...methodChoices(name));
    slot(this.element, "fields", HTMLElement).append(...optionFields());
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

  /** @param {SpectrumOptions | undefined} options What the model uses for its own method. */
  set modelDefaults(options) {
    this.#modelDefaults = options;
    this.#refresh();
  }

  /** @param {boolean} calibrated Whether the model has the calibration that the method of this name needs. */
  set calibrated(calibrated) {
    const radio = this.#radios().find(({ value }) => value === "calibrated");
    radio?.closest("label")?.toggleAttribute("hidden", !calibrated);
    if (!calibrated && radio?.checked) this.value = { method: /** @type {const} */ ("spectrum") };
  }

  /** @returns {SpectrumOptions} What goes on the wire: the method and the options that were typed. */
  get value() {
    const method = this.#method();
    const { options } = METHOD_OPTIONS[method];
    const typed = this.#inputs().map(([name, input]) => /** @type {const} */ ([name, numberIn(input)]));
    const own = typed.filter(([name, value]) => options.includes(name) && value !== undefined);
    return { method, ...Object.fromEntries(own) };
  }

  /** @param {SpectrumOptions} value */
  set value(value) {
    for (const radio of this.#radios()) radio.checked = radio.value === value.method;
    for (const [name, input] of this.#inputs()) input.value = String(value[name] ?? "");
    this.#refresh();
  }

  /** Which steps will be full, as far as the options are in range and no error budget decides. @returns {StepKind[]} */
  plan() {
    const typed = this.value;
    const options = { ...this.#defaults(), ...typed };
    const steps = Math.min(Math.max(Math.trunc(this.#steps), 0), 1000);
    const fullSteps = this.#ownPlan(typed);
    if (fullSteps) {
      return Array.from({ length: steps }, (_, i) => fullSteps.includes(i) ? "full" : "forecast");
    }
    return planSteps(steps, { ...options, window_size: Math.max(options.window_size, 1) });
  }

  #refresh() {
    const method = this.#method();
    const { note, options } = METHOD_OPTIONS[method];
    const defaults = this.#defaults();
    this.#note.textContent = note;
    for (const [name, input] of this.#inputs()) {
      input.placeholder = String(defaults[name]);
      input.closest(".field")?.toggleAttribute("hidden", !options.includes(name));
    }
    slot(this.element, "presets", HTMLElement).hidden = method !== "spectrum";
    slot(this.element, "options", HTMLElement).hidden = options.length === 0;

    const plan = this.plan();
    const passes = plan.filter((kind) => kind === "full").length;
    const limit = passes > 0 ? (plan.length / passes).toFixed(2) : "1.00";
    if ({ ...defaults, ...this.value }.error_budget > 0 && method !== "none") {
      this.#plan.textContent = "Full passes as often as their measured errors ask for";
      return;
    }
    this.#plan.textContent = `${passes} full passes in ${plan.length} steps, at most ${limit}× as fast`;
  }

  /** The model's own plan, unless a window is typed. @param {SpectrumOptions} typed */
  #ownPlan(typed) {
    const own = this.#modelDefaults;
    const window = WINDOW.some((name) => typed[name] !== undefined);
    return own?.method === typed.method && !window ? own.full_steps : undefined;
  }

  #defaults() {
    const method = this.#method();
    return {
      ...METHOD_OPTIONS[method].defaults,
      ...(this.#modelDefaults?.method === method && this.#modelDefaults),
    };
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

  /** @returns {[keyof MethodDefaults, HTMLInputElement][]} The option fields, by the option's name on the wire. */
  #inputs() {
    const inputs = /** @type {NodeListOf<HTMLInputElement>} */ (this.element.querySelectorAll(
      "input[type=number]",
    ));
    return [...inputs].map((input) => [/** @type {keyof MethodDefaults} */ (input.name), input]);
  }
}
