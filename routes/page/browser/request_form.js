// The form: reads requests from its fields, shows models and their defaults, and errors at the fields that they name.
import { VideoFields } from "./video_fields.js";
import { clearFieldErrors, numberIn, showFieldError } from "./field_errors.js";
import { ImageField } from "./image_field.js";
import { MethodFields } from "./method_fields.js";
import { ModelFields } from "./model_fields.js";

/** @import { ImageRequest, Model, SpectrumOptions } from "./wire.d.ts" */

/** Drawn seeds are below: short enough to be read out. */
const DRAWN_SEEDS = 1_000_000;

export class RequestForm {
  #form;
  #first;
  #second;
  #model;
  #image;
  #video;

  /**
   * @param {HTMLFormElement} form
   * @param {object} options
   * @param {() => void} options.onChange The plan that the form describes has changed.
   * @param {() => void} options.onModel Another model was chosen.
   */
  constructor(form, { onChange, onModel }) {
    this.#form = form;
    const changed = () => {
      this.#refresh();
      onChange();
    };
    this.#first = new MethodFields({
      title: "Method",
      name: "method-a",
      method: "spectrum",
      onChange: changed,
    });
    this.#second = new MethodFields({
      title: "Second method",
      name: "method-b",
      method: "none",
      onChange: changed,
    });
    this.#find("#first-method", HTMLElement).append(this.#first.element);
    this.#find("#second-method", HTMLElement).append(this.#second.element);
    this.#find("#dice", HTMLButtonElement).addEventListener(
      "click",
      () => this.#input("seed").value = String(drawSeed()),
    );
    this.#model = new ModelFields(this.#find("#models", HTMLElement), {
      onChange: () => {
        this.#useDefaults({ onlyEmpty: false });
        this.#useMethod();
        changed();
        onModel();
      },
    });
    this.#video = new VideoFields(this.#find("#video-fields", HTMLElement));
    this.#image = new ImageField(this.#find("#image-field", HTMLElement), { onChange: changed });
    for (const name of ["steps", "compare"]) this.#input(name).addEventListener("input", changed);
    this.#refresh();
  }

  /** @param {Model[]} models Their defaults go into the fields that are empty. */
  set models(models) {
    this.#model.models = models;
    this.#useDefaults({ onlyEmpty: true });
    this.#useMethod();
    this.#refresh();
  }

  /** The model that is chosen. */
  get model() {
    return this.#model.model;
  }

  set prompt(/** @type {string} */ prompt) {
    this.#find("#prompt", HTMLTextAreaElement).value = prompt;
  }

  get partialImages() {
    return Number(this.#find("#partial_images", HTMLSelectElement).value);
  }

  /** The methods' plans: one, or two to compare. */
  plans() {
    return this.#active().map((fields) => ({ method: fields.value.method, plan: fields.plan() }));
  }

  /**
   * One request, or two that differ in the method. An empty seed is drawn here, so that both get the same.
   *
   * @returns {ImageRequest[]}
   */
  requests() {
    const width = numberIn(this.#input("width"));
    const height = numberIn(this.#input("height"));
    const negative = this.#input("negative_prompt").value;
    const model = this.model?.id;
    const shared = withoutUndefined({
      prompt: this.#find("#prompt", HTMLTextAreaElement).value.trim(),
      model,
      seed: numberIn(this.#input("seed")) ?? drawSeed(),
      steps: numberIn(this.#input("steps")),
      size: width === undefined || height === undefined ? undefined : `${width}x${height}`,
      negative_prompt: negative === "" ? undefined : negative,
      guidance_scale: numberIn(this.#input("guidance_scale")),
      true_cfg_scale: numberIn(this.#input("true_cfg_scale")),
      ...this.#image.value,
      ...this.#video.value,
    });
    return this.#active().map((fields) => ({ ...shared, spectrum: fields.value }));
  }

  /** @param {ImageRequest} request Fills the fields from it. */
  restore(request) {
    const [width = "", height = ""] = request.size?.split("x") ?? [];
    this.#model.choose(request.model ?? "");
    this.#image.value = request;
    this.#video.value = request;
    this.prompt = request.prompt;
    const values = { ...request, width, height };
    for (
      const name of /** @type {const} */ ([
        "seed",
        "steps",
        "width",
        "height",
        "negative_prompt",
        "guidance_scale",
        "true_cfg_scale",
      ])
    ) {
      this.#input(name).value = String(values[name] ?? "");
    }
    this.#input("compare").checked = false;
    this.#first.value = request.spectrum;
    this.#refresh();
  }

  /**
   * Shows an error at its field, or below all of them.
   *
   * @param {{ message: string, param?: string | undefined }} error
   * @param {{ run?: number }} [options] 1 if the second method's run failed.
   */
  showError({ message, param }, { run = 0 } = {}) {
    const root = param?.startsWith("spectrum") ? this.#active()[run]?.element : this.#form;
    const shown = param !== undefined && root !== undefined && showFieldError(root, { param, message });
    if (!shown) this.#find("#form-error", HTMLElement).textContent = message;
  }

  clearErrors() {
    clearFieldErrors(this.#form);
    this.#find("#form-error", HTMLElement).textContent = "";
  }

  #active() {
    return this.#input("compare").checked ? [this.#first, this.#second] : [this.#first];
  }

  #refresh() {
    const compare = this.#input("compare").checked;
    this.#first.title = compare ? "First method" : "Method";
    this.#find("#second-method", HTMLElement).hidden = !compare;
    const steps = numberIn(this.#input("steps")) ?? this.model?.defaults?.steps ?? 50;
    this.#image.model = this.model;
    this.#video.model = this.model;
    this.#image.steps = steps;
    // A plan by index holds for the model's own number of steps.
    const own = this.model?.defaults?.spectrum;
    const { full_steps: _, ...withoutPlan } = own ?? { method: "spectrum" };
    const { laterSteps } = this.#image;
    for (const fields of [this.#first, this.#second]) {
      fields.modelDefaults = laterSteps === this.model?.defaults?.steps ? own : withoutPlan;
      fields.steps = laterSteps;
      fields.calibrated = this.model?.calibration !== undefined;
    }
  }

  /** Chooses the model's own method, unless options were typed for another. */
  #useMethod() {
    const method = this.model?.defaults?.spectrum.method;
    const typed = Object.keys(this.#first.value).length > 1;
    if (method !== undefined && !typed) this.#first.value = { method };
  }

  /** @param {{ onlyEmpty: boolean }} options */
  #useDefaults({ onlyEmpty }) {
    const { steps, width, height, guidance_scale, true_cfg_scale } = this.model?.defaults ?? {};
    const values = { steps, width, height, guidance_scale, true_cfg_scale };
    // Lengths of one model mean nothing to another; open, they are each one's own.
    if (!onlyEmpty) this.#video.value = {};
    for (const [name, value] of Object.entries(values)) {
      const input = this.#input(name);
      if (!onlyEmpty || input.value === "") input.value = value === undefined ? "" : String(value);
    }
  }

  /** @param {string} name */
  #input(name) {
    return this.#find(`#${name}`, HTMLInputElement);
  }

  /**
   * @template {Element} T
   * @param {string} selector
   * @param {abstract new (...args: never[]) => T} type
   * @returns {T}
   */
  #find(selector, type) {
    const found = this.#form.querySelector(selector);
    if (!(found instanceof type)) throw new TypeError(`Cannot use the form as it has no '${selector}'`);
    return found;
  }
}

function drawSeed() {
  return Math.floor(Math.random() * DRAWN_SEEDS);
}

/**
 * @template {object} T
 * @param {T} fields
 * @returns {{ [K in keyof T]: Exclude<T[K], undefined> }}
 */
function withoutUndefined(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return /** @type {{ [K in keyof T]: Exclude<T[K], undefined> }} */ (Object.fromEntries(given));
}
