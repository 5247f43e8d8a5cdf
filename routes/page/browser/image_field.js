// The image to start from, if there is one: chosen, dropped anywhere on the page, or pasted; and how much of
// it is drawn anew. For a video it is the first frame.
import { numberIn } from "./field_errors.js";
import { countLaterSteps } from "./later_steps.js";
import { MaskPainter } from "./mask_painter.js";
import { readRequest } from "./picture_record.js";
import { slot } from "./slots.js";
import { takeImages } from "./take_images.js";

/** @import { ImageRequest, Model } from "./wire.d.ts" */
/** @typedef {Pick<ImageRequest, "image" | "mask" | "padding_mask_crop" | "strength">} StartImage */

/** Until a model has said what is its own. */
const STRENGTH = 0.6;

export class ImageField {
  #root;
  #onChange;
  #input;
  #thumbnail;
  #strength;
  #settings;
  #mask;
  /** @type {File | undefined} */
  #file;
  /** @type {ImageRequest | undefined} What the file says about itself. */
  #madeBy;
  /** @type {Model["start_image"]} */
  #rules;
  /** @type {"required" | "optional" | "none"} Whether the image is a video's first frame. */
  #frame = "none";
  /** Number of steps of the whole schedule. */
  #steps = 0;
  /** Whether the strength is the user's own: another model's default leaves it alone then. */
  #touched = false;

  /**
   * @param {HTMLElement} root
   * @param {object} options
   * @param {() => void} options.onChange The image, or how many steps it leaves, has changed.
   * @param {(request: ImageRequest) => void} options.onSettings The user wants the request
   * that an image was made by.
   */
  constructor(root, { onChange, onSettings }) {
    this.#root = root;
    this.#onChange = onChange;
    this.#input = slot(root, "file", HTMLInputElement);
    this.#thumbnail = slot(root, "thumbnail", HTMLImageElement);
    this.#strength = slot(root, "strength", HTMLInputElement);
    this.#settings = slot(root, "settings", HTMLButtonElement);
    this.#settings.addEventListener("click", () => {
      if (this.#madeBy) onSettings(this.#madeBy);
    });
    this.#input.addEventListener("change", () => {
      const [file] = this.#input.files ?? [];
      if (file) this.#show(file);
    });
    slot(root, "remove", HTMLButtonElement).addEventListener("click", () => {
      this.#show(undefined);
      this.#input.focus();
    });
    this.#mask = new MaskPainter(slot(root, "mask", HTMLElement), {
      onChange: () => {
        this.#useDefault();
        this.#refresh();
        onChange();
      },
    });
    this.#strength.addEventListener("input", () => {
      this.#touched = true;
      this.#refresh();
      onChange();
    });
    // Formats that the browser cannot show, the service may well read.
    this.#thumbnail.addEventListener("error", () => this.#thumbnail.hidden = true);
    takeImages(root, { onImages: ([file]) => this.#show(file), everywhere: true });
    this.#refresh();
  }

  /** The image, whether the model takes it or not. */
  get file() {
    return this.#file;
  }

  /**
   * Returns the fields to send: none without an image.
   *
   * @returns {StartImage}
   */
  get value() {
    const image = this.#root.hidden ? undefined : this.#file;
    if (image === undefined) return {};
    if (this.#frame !== "none") return { image };
    const strength = numberIn(this.#strength);
    return { image, ...this.#mask.value, ...(strength !== undefined && { strength }) };
  }

  /** @param {StartImage} value */
  set value({ image, mask, padding_mask_crop, strength }) {
    this.#touched = image !== undefined && strength !== undefined;
    if (strength !== undefined) this.#strength.value = String(strength);
    this.#show(image);
    if (image !== undefined && mask !== undefined) void this.#mask.restore(mask, padding_mask_crop);
  }

  /** @param {Model | undefined} model Undefined while the list of models is on its way. */
  set model(model) {
    this.#rules = model?.start_image;
    const wasFrame = this.#frame !== "none";
    this.#frame = model?.video?.first_frame ?? "none";
    const takesImages = this.#rules !== undefined || this.#frame !== "none";
    this.#root.hidden = model !== undefined && (!takesImages || model.references !== undefined);
    if (wasFrame && this.#frame === "none") this.#mask.image = this.#file && this.#thumbnail.src;
    this.#useDefault();
    this.#refresh();
  }

  /** @param {number} steps */
  set steps(steps) {
    this.#steps = steps;
    this.#refresh();
  }

  /** The steps that will be run: fewer than the schedule has where it starts from an image. */
  get laterSteps() {
    if (this.#file === undefined || this.#root.hidden || this.#frame !== "none") return this.#steps;
    const strength = numberIn(this.#strength) ?? STRENGTH;
    return countLaterSteps(this.#steps, { strength, partialStep: this.#rules?.partial_step ?? "run" });
  }

  /** @param {File | undefined} file */
  #show(file) {
    this.#file = file;
    URL.revokeObjectURL(this.#thumbnail.src);
    this.#thumbnail.hidden = file === undefined;
    if (file === undefined) this.#thumbnail.removeAttribute("src");
    else this.#thumbnail.src = URL.createObjectURL(file);
    void this.#readSettings(file);
    this.#mask.image = file === undefined ? undefined : this.#thumbnail.src;
    this.#useDefault();
    // The same file can be chosen again.
    this.#input.value = "";
    this.#refresh();
    this.#onChange();
  }

  /** @param {File | undefined} file */
  async #readSettings(file) {
    this.#settings.hidden = true;
    const request = file && await readRequest(file);
    if (file !== this.#file) return;
    this.#madeBy = request;
    this.#settings.hidden = request === undefined;
  }

  /** The model's strength, which is another in a mask. */
  #useDefault() {
    if (this.#touched) return;
    const { strength = STRENGTH, mask_strength = strength } = this.#rules ?? {};
    this.#strength.value = String(this.#mask.isUsed ? mask_strength : strength);
  }

  #refresh() {
    const file = this.#file;
    slot(this.#root, "chosen", HTMLElement).hidden = file === undefined;
    slot(this.#root, "ways", HTMLElement).hidden = file !== undefined;
    const isFrame = this.#frame !== "none";
    const start = isFrame
      ? `Choose the first frame${this.#frame === "required" ? "" : " (optional)"}`
      : "Start from an image";
    slot(this.#root, "choose", HTMLElement).textContent = file
      ? isFrame ? "Another first frame" : "Another image"
      : start;
    slot(this.#root, "drawn-anew", HTMLElement).hidden = isFrame;
    if (isFrame) slot(this.#root, "mask", HTMLElement).hidden = true;
    slot(this.#root, "name", HTMLElement).textContent = file?.name ?? "";
    slot(this.#root, "share", HTMLElement).textContent = `${
      Number(this.#strength.value).toFixed(2)
    }, ${this.laterSteps} of ${this.#steps} steps`;
  }
}
