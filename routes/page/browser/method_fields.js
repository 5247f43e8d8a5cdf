// The fields of one method: how many full passes, which method, its options. Fields left empty leave
// the default to the service.
import { measuredPlans, planOfPasses, planOfQuality, planOfWhole } from "./calibrated_plan.js";
import { numberIn } from "./field_errors.js";
import { METHOD_OPTIONS, WINDOW } from "./method_options.js";
import { methodChoices, optionFields } from "./option_fields.js";
import { PassesField } from "./passes_field.js";
import { planSteps } from "./plan_steps.js";
import { QUALITY_LEVELS } from "./sampler_table.js";
import { fromTemplate, slot } from "./slots.js";

/** @import { MeasuredPlans, PlannedSteps } from "./calibrated_plan.js" */
/** @import { MethodDefaults } from "./method_options.js" */
/** @import { Method, Model, SpectrumOptions, StepKind } from "./wire.d.ts" */

export class MethodFields {
  #name;
  #title = "";
  #note;
  #plan;
  #passes;
  #byWindow;
  /** Whether a window was asked for, be it the one of the method's defaults. */
  #asksWindow = false;
  /** @type {PlannedSteps} */
  #run = { steps: 50, skipped: 0 };
  /** @type {Model | undefined} */
  #model;
  /** @type {MeasuredPlans | undefined} */
  #plans;

  /**
   * @param {{ name: string, method: Method, onChange: () => void }} options `name` sets the two
   * copies' radio buttons apart.
   */
  constructor({ name, method, onChange }) {
    this.element = fromTemplate("method-template");
    this.#name = name;
    this.#note = slot(this.element, "note", HTMLElement);
    this.#plan = slot(this.element, "plan", HTMLElement);
    this.#byWindow = slot(this.element, "by-window", HTMLInputElement);
    slot(this.element, "methods", HTMLElement).append(...methodChoices(name));
    slot(this.element, "fields", HTMLElement).append(...optionFields());
    this.#passes = new PassesField(slot(this.element, "passes", HTMLElement), {
      name: `${name}-quality`,
      // A plan takes the place of the window.
      onChange: () => {
        this.value = { method: this.#method(), ...this.#typed("forecast"), ...this.#passes.value };
      },
    });
    this.value = { method };
    this.element.addEventListener("input", ({ target }) => {
      // Another method has other defaults: what was typed for the last one would surprise here.
      if (target instanceof HTMLInputElement && target.name === name) {
        this.value = { method: this.#method(), ...this.#passes.value };
      }
      if (target === this.#byWindow) {
        this.#passes.value = this.#byWindow.checked ? {} : this.#shownPasses();
        this.#asksWindow = this.#byWindow.checked;
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

  /** @param {string} title Empty: what the first field is. */
  set title(title) {
    this.#title = title;
    this.#refresh();
  }

  /** @param {PlannedSteps} run The run that the plan is shown for. */
  set run(run) {
    this.#run = run;
    this.#refresh();
  }

  /** @param {Model | undefined} model Undefined while the list of models is on its way. */
  set model(model) {
    if (model !== this.#model) this.#plans = measuredPlans(model?.calibration);
    this.#model = model;
    const calibrated = model?.calibration !== undefined;
    const radio = this.#radios().find(({ value }) => value === "calibrated");
    radio?.closest("label")?.toggleAttribute("hidden", !calibrated);
    if (model && !calibrated && radio?.checked) this.value = { method: /** @type {const} */ ("spectrum") };
    this.#refresh();
  }

  /** @returns {SpectrumOptions} What goes on the wire: the method and the options that were typed. */
  get value() {
    const method = this.#method();
    if (method === "none") return { method };
    if (!this.#isWindow()) return { method, ...this.#typed("forecast"), ...this.#passes.value };
    const window = this.#typed("window");
    // A request without fields takes the model's own choice, here a plan. passes: 0 asks for the window.
    const without = Object.keys(window).length === 0 && this.#ownIsPlan() ? { passes: 0 } : {};
    return { method, ...this.#typed("forecast"), ...window, ...without };
  }

  /** @param {SpectrumOptions} value */
  set value(value) {
    for (const radio of this.#radios()) radio.checked = radio.value === value.method;
    for (const [name, input] of this.#inputs()) input.value = String(value[name] ?? "");
    this.#passes.value = value;
    this.#asksWindow = value.passes === 0 || WINDOW.some((name) => value[name] !== undefined);
    this.#refresh();
  }

  /**
   * Returns which steps will be full, as far as the options are in range and no error budget decides.
   *
   * @returns {StepKind[]}
   */
  plan() {
    const steps = Math.min(Math.max(Math.trunc(this.#run.steps - this.#run.skipped), 0), 1000);
    const fullSteps = this.#isWindow() ? undefined : this.#fullSteps();
    if (fullSteps) {
      return Array.from({ length: steps }, (_, i) => fullSteps.includes(i) ? "full" : "forecast");
    }
    const options = { ...this.#defaults(), ...this.value };
    return planSteps(steps, { ...options, window_size: Math.max(options.window_size, 1) });
  }

  /**
   * The plan that decides where no window does; undefined where neither the request nor the model has one.
   */
  #fullSteps() {
    const plans = this.#plans;
    const method = this.#method();
    const { passes, quality } = this.#passes.value;
    const own = this.#model?.defaults?.spectrum;
    const isOwn = own?.method === method && passes === undefined && quality === undefined;
    const isWhole = this.#run.skipped === 0 && this.#run.steps === this.#model?.defaults?.steps;
    if (method === "none") return undefined;
    if (isOwn && (isWhole || !plans)) return isWhole ? own.full_steps : undefined;
    if (!plans) return undefined;
    if (isOwn && own.passes > 0) return planOfWhole(plans, own.passes, this.#run);
    if (passes) return planOfPasses(plans, passes, this.#run);
    return planOfQuality(plans, QUALITY_LEVELS[quality ?? "good"], this.#run);
  }

  /** Whether a window, or an error budget, chooses the full passes. */
  #isWindow() {
    if (this.#plans === undefined) return Object.keys(this.#typed("window")).length > 0 || !this.#ownIsPlan();
    const { passes, quality } = this.#passes.value;
    return this.#asksWindow || (passes === undefined && quality === undefined && !this.#ownIsPlan());
  }

  /** Whether the model has a plan for what leaves everything open. */
  #ownIsPlan() {
    const own = this.#model?.defaults?.spectrum;
    return own?.method === this.#method()
      ? own.full_steps !== undefined
      : this.#method() === "calibrated" && this.#plans !== undefined;
  }

  #refresh() {
    const method = this.#method();
    const { note, options } = METHOD_OPTIONS[method];
    const defaults = this.#defaults();
    const hasPlans = this.#plans !== undefined && method !== "none";
    const isWindow = this.#isWindow();
    const legend = this.element.querySelector("legend");
    if (legend) legend.textContent = this.#title || (hasPlans ? "Quality" : "Method");
    this.#note.textContent = note;
    this.#passes.hidden = !hasPlans;
    slot(this.element, "way", HTMLElement).hidden = !hasPlans;
    this.#byWindow.checked = isWindow;
    for (const [name, input] of this.#inputs()) {
      input.placeholder = String(defaults[name]);
      const isRead = options.includes(name) && (isWindow || !hasPlans || !isWindowOption(name));
      input.closest(".field")?.toggleAttribute("hidden", !isRead);
    }
    slot(this.element, "presets", HTMLElement).hidden = method !== "spectrum" || !isWindow;
    slot(this.element, "options", HTMLElement).hidden = options.length === 0;

    const plan = this.plan();
    const passes = this.#passesOf(plan);
    this.#passes.show({ passes, steps: plan.length });
    this.#plan.textContent = this.#summary(plan, { passes, isWindow });
  }

  /**
   * @param {readonly StepKind[]} plan
   * @param {{ passes: number, isWindow: boolean }} options
   */
  #summary(plan, { passes, isWindow }) {
    const method = this.#method();
    if (isWindow && method !== "none" && { ...this.#defaults(), ...this.value }.error_budget > 0) {
      return "Full passes as often as their measured errors ask for";
    }
    const limit = passes > 0 ? (plan.length / passes).toFixed(2) : "1.00";
    const summary = `${passes} full passes in ${plan.length} steps, at most ${limit}× as fast`;
    const measured = method === "calibrated" && !isWindow && this.#run.skipped === 0 &&
      this.#model?.calibration?.psnr[plan.length]?.[passes];
    return measured ? `${summary}, ${measured.toFixed(0)} dB` : summary;
  }

  /** The plan that takes the place of the window. */
  #shownPasses() {
    return this.#ownIsPlan() ? {} : { passes: this.#passesOf(this.plan()) };
  }

  /** @param {readonly StepKind[]} plan */
  #passesOf(plan) {
    return plan.filter((kind) => kind === "full").length;
  }

  /**
   * The option fields of the method that were filled in.
   *
   * @param {"window" | "forecast"} decides
   * @returns {Partial<MethodDefaults>}
   */
  #typed(decides) {
    const { options } = METHOD_OPTIONS[this.#method()];
    const typed = this.#inputs().map(([name, input]) => /** @type {const} */ ([name, numberIn(input)]));
    return Object.fromEntries(
      typed.filter(([name, value]) =>
        value !== undefined && options.includes(name) && isWindowOption(name) === (decides === "window")
      ),
    );
  }

  #defaults() {
    const method = this.#method();
    const own = this.#model?.defaults?.spectrum;
    return { ...METHOD_OPTIONS[method].defaults, ...(own?.method === method && own) };
  }

  /** @returns {Method} */
  #method() {
    const checked = this.#radios().find((radio) => radio.checked);
    return /** @type {Method} */ (checked?.value ?? "spectrum");
  }

  #radios() {
    const radios = this.element.querySelectorAll(`input[name="${this.#name}"]`);
    return [.../** @type {NodeListOf<HTMLInputElement>} */ (radios)];
  }

  /**
   * @returns {[keyof MethodDefaults, HTMLInputElement][]} The option fields, by the
   * option's name on the wire.
   */
  #inputs() {
    const inputs = /** @type {NodeListOf<HTMLInputElement>} */ (this.element.querySelectorAll(
      "input[type=number]",
    ));
    return [...inputs].map((input) => [/** @type {keyof MethodDefaults} */ (input.name), input]);
  }
}

/** @param {keyof MethodDefaults} name */
function isWindowOption(name) {
  return WINDOW.includes(name);
}
