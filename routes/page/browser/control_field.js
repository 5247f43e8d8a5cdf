// The image that a ControlNet follows, for models that have ControlNets.
import { numberIn } from "./field_errors.js";
import { slot } from "./slots.js";

/** @import { ImageRequest, Model } from "./wire.d.ts" */

/**
 * @typedef {Pick<ImageRequest, "control_image" | "controlnet" | "control_scale" | "control_mode">} Control
 */

export class ControlField {
  #root;
  #onChange;
  #input;
  #thumbnail;
  #net;
  #scale;
  #mode;
  /** @type {File | undefined} */
  #file;
  /** @type {NonNullable<Model["controlnets"]>} */
  #nets = [];

  /**
   * @param {HTMLElement} root
   * @param {object} options
   * @param {() => void} options.onChange
   */
  constructor(root, { onChange }) {
    this.#root = root;
    this.#onChange = onChange;
    this.#input = slot(root, "file", HTMLInputElement);
    this.#thumbnail = slot(root, "thumbnail", HTMLImageElement);
    this.#net = slot(root, "net", HTMLSelectElement);
    this.#scale = slot(root, "scale", HTMLInputElement);
    this.#mode = slot(root, "mode", HTMLInputElement);
    this.#input.addEventListener("change", () => {
      const [file] = this.#input.files ?? [];
      if (file) this.#show(file);
    });
    slot(root, "remove", HTMLButtonElement).addEventListener("click", () => {
      this.#show(undefined);
      this.#input.focus();
    });
    for (const control of [this.#net, this.#scale]) control.addEventListener("input", () => this.#refresh());
    // Formats that the browser cannot show, the service may well read.
    this.#thumbnail.addEventListener("error", () => this.#thumbnail.hidden = true);
    this.#refresh();
  }

  /**
   * Returns the fields to send: none without an image.
   *
   * @returns {Control}
   */
  get value() {
    if (this.#file === undefined || this.#root.hidden) return {};
    const scale = numberIn(this.#scale);
    const mode = numberIn(this.#mode);
    return {
      control_image: this.#file,
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
    this.#show(control_image);
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

  /** @param {File | undefined} file */
  #show(file) {
    this.#file = file;
    URL.revokeObjectURL(this.#thumbnail.src);
    this.#thumbnail.hidden = file === undefined;
    if (file === undefined) this.#thumbnail.removeAttribute("src");
    else this.#thumbnail.src = URL.createObjectURL(file);
    // The same file can be chosen again.
    this.#input.value = "";
    this.#refresh();
    this.#onChange();
  }

  #refresh() {
    const file = this.#file;
    slot(this.#root, "chosen", HTMLElement).hidden = file === undefined;
    slot(this.#root, "nets", HTMLElement).hidden = this.#nets.length < 2;
    slot(this.#root, "modes", HTMLElement).hidden = !this.#hasModes;
    slot(this.#root, "choose", HTMLElement).textContent = file
      ? "Another control image"
      : "Follow a control image";
    slot(this.#root, "name", HTMLElement).textContent = file?.name ?? "";
    slot(this.#root, "share", HTMLElement).textContent = Number(this.#scale.value).toFixed(2);
  }
}
