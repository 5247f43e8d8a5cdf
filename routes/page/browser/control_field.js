// The image that a ControlNet follows, for models that have ControlNets.
import { ChosenImage } from "./chosen_image.js";
import { numberIn } from "./field_errors.js";
import { slot } from "./slots.js";

/** @import { ImageRequest, Model } from "./wire.d.ts" */

/**
 * @typedef {Pick<ImageRequest, "control_image" | "controlnet" | "control_scale" | "control_mode">} Control
 */

export class ControlField {
  #root;
  #image;
  #net;
  #scale;
  #mode;
  /** @type {NonNullable<Model["controlnets"]>} */
  #nets = [];

  /**
   * @param {HTMLElement} root
   * @param {object} options
   * @param {() => void} options.onChange
   */
  constructor(root, { onChange }) {
    this.#root = root;
    const words = { first: "Follow a control image", other: "Another control image" };
    this.#image = new ChosenImage(root, { onChange, words });
    this.#net = slot(root, "net", HTMLSelectElement);
    this.#scale = slot(root, "scale", HTMLInputElement);
    this.#mode = slot(root, "mode", HTMLInputElement);
    for (const control of [this.#net, this.#scale]) control.addEventListener("input", () => this.#refresh());
    this.#refresh();
  }

  /** The image, whether the model has ControlNets or not. */
  get file() {
    return this.#image.file;
  }

  set file(/** @type {File | undefined} */ file) {
    this.#image.file = file;
  }

  /**
   * Returns the fields to send: none without an image.
   *
   * @returns {Control}
   */
  get value() {
    if (this.file === undefined || this.#root.hidden) return {};
    const scale = numberIn(this.#scale);
    const mode = numberIn(this.#mode);
    return {
      control_image: this.file,
      controlnet: this.#net.value,
      ...(scale !== undefined && { control_scale: scale }),
      ...(this.#hasModes && mode !== undefined && { control_mode: mode }),
    };
  }

  /** @param {Control} value */
  set value({ control_image, controlnet, control_scale = 1, control_mode = 0 }) {
    if (controlnet !== undefined) this.#net.value = controlnet;
    this.#scale.value = String(control_scale);
    this.#mode.value = String(control_mode);
    this.file = control_image;
  }

  /** @param {Model | undefined} model Undefined while the list of models is on its way. */
  set model(model) {
    const nets = model?.controlnets ?? [];
    this.#root.hidden = nets.length === 0;
    const isSame = nets.map(({ name }) => name).join() === this.#nets.map(({ name }) => name).join();
    this.#nets = [...nets];
    if (!isSame) {
      this.#net.replaceChildren(...nets.map(({ name }) => new Option(name, name)));
    }
    this.#refresh();
  }

  get #hasModes() {
    return this.#nets.find(({ name }) => name === this.#net.value)?.modes !== undefined;
  }

  #refresh() {
    slot(this.#root, "nets", HTMLElement).hidden = this.#nets.length < 2;
    slot(this.#root, "modes", HTMLElement).hidden = !this.#hasModes;
    slot(this.#root, "share", HTMLElement).textContent = Number(this.#scale.value).toFixed(2);
  }
}
