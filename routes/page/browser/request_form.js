// The form: reads requests from its fields, shows models and their defaults, and errors at
// the fields that they name.
import { ControlField } from "./control_field.js";
import { VideoFields } from "./video_fields.js";
import { clearFieldErrors, numberIn, showFieldError } from "./field_errors.js";
import { FormInputs } from "./form_inputs.js";
import { ImageField } from "./image_field.js";
import { LastFrameField } from "./last_frame_field.js";
import { MethodFields } from "./method_fields.js";
import { ModelFields } from "./model_fields.js";
import { ReferencesField } from "./references_field.js";
import { SeedField } from "./seed_field.js";

/** @import { ImageRequest, Model, SpectrumOptions } from "./wire.d.ts" */

/** The fields that are text or a number, by their ids. */
const FIELDS = /** @type {const} */ ([
  "prompt",
  "negative_prompt",
  "seed",
  "n",
  "steps",
  "width",
  "height",
  "num_frames",
  "fps",
  "guidance_scale",
  "true_cfg_scale",
  "partial_images",
]);

/** @typedef {Pick<ImageRequest, "image" | "last_frame" | "control_image" | "references">} FormFiles */

/**
 * The form's values, as JSON can keep them: all but the images.
 *
 * @typedef {object} FormState
 * @property {string} model
 * @property {Partial<Record<typeof FIELDS[number], string>>} fields
 * @property {boolean} locked Whether the seed stays.
 * @property {boolean} compare
 * @property {number | undefined} strength
 * @property {[SpectrumOptions, SpectrumOptions]} methods
 */

export class RequestForm {
  #form;
  #inputs;
  #first;
  #second;
  #model;
  #image;
  #control;
  #references;
  #lastFrame;
  #video;
  #seed;
  /** @type {string | undefined} The model that the form was filled for, until the list of models has come. */
  #filledFor;

  /**
   * @param {HTMLFormElement} form
   * @param {object} options
   * @param {() => void} options.onChange The plan that the form describes has changed.
   * @param {() => void} options.onModel Another model was chosen.
   */
  constructor(form, { onChange, onModel }) {
    this.#form = form;
    this.#inputs = new FormInputs(form);
    const changed = () => {
      this.#refresh();
      onChange();
    };
    this.#first = new MethodFields({ name: "method-a", method: "spectrum", onChange: changed });
    this.#second = new MethodFields({ name: "method-b", method: "none", onChange: changed });
    this.#inputs.find("#first-method", HTMLElement).append(this.#first.element);
    this.#inputs.find("#second-method", HTMLElement).append(this.#second.element);
    this.#seed = new SeedField(this.#inputs, { onChange: changed });
    this.#model = new ModelFields(this.#inputs.find("#models", HTMLElement), {
      onChange: () => {
        this.#useDefaults({ onlyEmpty: false });
        this.#useReferencesSize();
        this.#useMethod();
        changed();
        onModel();
      },
    });
    this.#video = new VideoFields(this.#inputs.find("#video-fields", HTMLElement));
    this.#image = new ImageField(this.#inputs.find("#image-field", HTMLElement), {
      onChange: changed,
      onSettings: (request) => {
        this.restore(request);
        changed();
      },
    });
    this.#references = new ReferencesField(this.#inputs.find("#references-field", HTMLElement), {
      onChange: () => {
        this.#useReferencesSize();
        changed();
      },
    });
    this.#lastFrame = new LastFrameField(this.#inputs.find("#last-frame-field", HTMLElement), {
      onChange: changed,
    });
    this.#control = new ControlField(this.#inputs.find("#control-field", HTMLElement), { onChange: changed });
    form.addEventListener("input", changed);
    this.#refresh();
  }

  /** @param {Model[]} models The defaults of the one that is chosen go into the fields that are empty. */
  set models(models) {
    const before = this.model?.id ?? this.#filledFor;
    this.#model.models = models;
    if (before !== undefined) this.#model.choose(before);
    const isSame = before === this.model?.id;
    this.#useDefaults({ onlyEmpty: isSame || before === undefined });
    this.#useReferencesSize();
    if (!isSame) this.#useMethod();
    this.#refresh();
  }

  /** @returns {FormState | undefined} undefined while no model is known. */
  get state() {
    if (!this.model) return undefined;
    return {
      model: this.model.id,
      fields: Object.fromEntries(FIELDS.map((name) => [name, this.#inputs.named(name).value])),
      locked: this.#seed.locked,
      compare: this.#inputs.input("compare").checked,
      strength: this.#image.value.strength,
      methods: [this.#first.value, this.#second.value],
    };
  }

  /** @param {FormState} state */
  set state({ model, fields, locked, compare, methods: [first, second] }) {
    this.#filledFor = model;
    for (const name of FIELDS) {
      this.#inputs.named(name).value = fields[name] ?? this.#inputs.named(name).value;
    }
    this.#seed.locked = locked;
    this.#inputs.input("compare").checked = compare;
    this.#first.value = first;
    this.#second.value = second;
    this.#refresh();
  }

  /** @returns {FormFiles} All images of the form, whether the model takes them or not. */
  get files() {
    const [image, last_frame, control_image] = [this.#image.file, this.#lastFrame.file, this.#control.file];
    return {
      ...(image && { image }),
      ...(last_frame && { last_frame }),
      ...(control_image && { control_image }),
      ...(this.#references.files.length > 0 && { references: this.#references.files }),
    };
  }

  /**
   * Fills the fields of files.
   *
   * @param {FormFiles} files
   * @param {{ strength: number | undefined }} options
   */
  restoreFiles({ image, last_frame, control_image, references }, { strength }) {
    if (image) this.#image.value = { image, ...(strength !== undefined && { strength }) };
    if (last_frame) this.#lastFrame.file = last_frame;
    if (control_image) this.#control.file = control_image;
    if (references) this.#references.files = references;
  }

  /**
   * Puts an image where the model takes one.
   *
   * @param {File} image A reference, a start image or a video's first frame: whatever the model takes.
   */
  use(image) {
    const isLookedAt = this.model?.references !== undefined;
    if (isLookedAt) this.#references.add([image]);
    else this.#image.value = { image };
    const field = isLookedAt ? "#references-field" : "#image-field";
    this.#inputs.find(field, HTMLElement).scrollIntoView({ block: "nearest" });
  }

  /** Puts an image where a ControlNet takes one. @param {File} image */
  follow(image) {
    this.#control.file = image;
    this.#inputs.find("#control-field", HTMLElement).scrollIntoView({ block: "nearest" });
  }

  /** The model that is chosen. */
  get model() {
    return this.#model.model;
  }

  set prompt(/** @type {string} */ prompt) {
    this.#inputs.find("#prompt", HTMLTextAreaElement).value = prompt;
  }

  get partialImages() {
    return Number(this.#inputs.find("#partial_images", HTMLSelectElement).value);
  }

  /** Returns the methods' plans: one, or two to compare. They are empty as long as no model is known. */
  plans() {
    const count = this.#count;
    return this.#active().map((fields) => ({
      method: fields.value.method,
      plan: this.model ? fields.plan() : [],
      count,
    }));
  }

  /**
   * Returns one request, or two that differ in the method. An empty seed is drawn here, so that both get the
   * same.
   *
   * @returns {ImageRequest[]}
   */
  requests() {
    const width = numberIn(this.#inputs.input("width"));
    const height = numberIn(this.#inputs.input("height"));
    const negative = this.#inputs.input("negative_prompt").value;
    const count = this.#count;
    const model = this.model?.id;
    const shared = withoutUndefined({
      prompt: this.#inputs.find("#prompt", HTMLTextAreaElement).value.trim(),
      model,
      n: count > 1 ? count : undefined,
      seed: this.#seed.next(),
      steps: numberIn(this.#inputs.input("steps")),
      size: width === undefined || height === undefined ? undefined : `${width}x${height}`,
      negative_prompt: negative === "" ? undefined : negative,
      guidance_scale: numberIn(this.#inputs.input("guidance_scale")),
      true_cfg_scale: numberIn(this.#inputs.input("true_cfg_scale")),
      ...this.#image.value,
      ...this.#references.value,
      ...this.#lastFrame.value,
      ...this.#control.value,
      ...this.#video.value,
    });
    return this.#active().map((fields) => ({ ...shared, spectrum: fields.value }));
  }

  /** Fills the fields from a request. @param {ImageRequest} request */
  restore(request) {
    const [width = "", height = ""] = request.size?.split("x") ?? [];
    this.#model.choose(request.model ?? "");
    this.#image.value = request;
    this.#references.files = request.references ?? [];
    this.#lastFrame.file = request.last_frame;
    this.#control.value = request;
    this.#video.value = request;
    this.prompt = request.prompt;
    this.#seed.locked = true;
    const values = { ...request, n: 1, width, height };
    for (
      const name of /** @type {const} */ ([
        "seed",
        "n",
        "steps",
        "width",
        "height",
        "negative_prompt",
        "guidance_scale",
        "true_cfg_scale",
      ])
    ) {
      this.#inputs.input(name).value = String(values[name] ?? "");
    }
    this.#inputs.input("compare").checked = false;
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
    if (!shown) this.#inputs.find("#form-error", HTMLElement).textContent = message;
  }

  clearErrors() {
    clearFieldErrors(this.#form);
    this.#inputs.find("#form-error", HTMLElement).textContent = "";
  }

  #active() {
    return this.#inputs.input("compare").checked ? [this.#first, this.#second] : [this.#first];
  }

  #refresh() {
    const compare = this.#inputs.input("compare").checked;
    this.#first.title = compare ? "First method" : "";
    this.#second.title = "Second method";
    this.#inputs.find("#second-method", HTMLElement).hidden = !compare;
    const { model } = this;
    const steps = Math.min(numberIn(this.#inputs.input("steps")) ?? model?.defaults?.steps ?? 50, 1000);
    this.#image.model = model;
    this.#references.model = model;
    this.#lastFrame.model = model;
    this.#control.model = model;
    this.#video.model = model;
    this.#image.steps = steps;
    const skipped = steps - this.#image.laterSteps;
    for (const fields of [this.#first, this.#second]) {
      fields.model = model;
      fields.run = { steps, skipped };
    }
    // Videos come one by one.
    this.#inputs.input("n").closest(".field")?.toggleAttribute("hidden", model?.video !== undefined);
  }

  /** Pictures to make. */
  get #count() {
    if (this.model?.video !== undefined) return 1;
    return Math.max(Math.trunc(numberIn(this.#inputs.input("n")) ?? 1), 1);
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
      const input = this.#inputs.input(name);
      if (!onlyEmpty || input.value === "") input.value = value === undefined ? "" : String(value);
    }
  }

  /** Leaves the size open while there are images to look at: the picture then gets the first one's shape. */
  #useReferencesSize() {
    const { width, height } = this.model?.defaults ?? {};
    if (width === undefined || height === undefined) return;
    const [own, open] = [[String(width), String(height)], ["", ""]];
    const inputs = [this.#inputs.input("width"), this.#inputs.input("height")];
    const isOpen = this.model?.references !== undefined && this.#references.files.length > 0;
    const [from, to] = isOpen ? [own, open] : [open, own];
    if (!inputs.every((input, index) => input.value === from[index])) return;
    for (const [index, input] of inputs.entries()) input.value = to[index] ?? "";
  }
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
