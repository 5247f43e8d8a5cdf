// The images that a model looks at, for models that do: several, in an order that prompts may name.
import { fromTemplate, slot } from "./slots.js";
import { takeImages } from "./take_images.js";

/** @import { ImageRequest, Model } from "./wire.d.ts" */

export class ReferencesField {
  #root;
  #onChange;
  #input;
  #list;
  /** @type {File[]} */
  #files = [];
  /** @type {string[]} */
  #urls = [];
  #limits = { min: 0, max: 0 };
  /** Images that found no place. */
  #left = 0;

  /**
   * @param {HTMLElement} root
   * @param {object} options
   * @param {() => void} options.onChange
   */
  constructor(root, { onChange }) {
    this.#root = root;
    this.#onChange = onChange;
    this.#input = slot(root, "file", HTMLInputElement);
    this.#list = slot(root, "list", HTMLElement);
    this.#input.addEventListener("change", () => {
      this.add([...this.#input.files ?? []]);
      // The same file can be chosen again.
      this.#input.value = "";
    });
    takeImages(root, { onImages: (images) => this.add(images), everywhere: true });
    this.#refresh();
  }

  /** The images, whether the model looks at any or not. */
  get files() {
    return this.#files;
  }

  set files(/** @type {File[]} */ files) {
    this.#left = 0;
    this.#show(files);
  }

  /** Adds images. @param {File[]} files Files that the model has no place for are left out. */
  add(files) {
    const all = [...this.#files, ...files];
    this.#left = Math.max(0, all.length - this.#limits.max);
    this.#show(all.slice(0, this.#limits.max));
  }

  /** @returns {Pick<ImageRequest, "references">} The fields to send. */
  get value() {
    return this.#files.length === 0 || this.#root.hidden ? {} : { references: this.#files };
  }

  /** @param {Model | undefined} model Undefined while the list of models is on its way. */
  set model(model) {
    this.#root.hidden = model?.references === undefined;
    if (model?.references === undefined) return;
    this.#limits = model.references;
    this.#refresh();
  }

  /** @param {File[]} files */
  #show(files) {
    this.#files = files;
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.#urls = files.map((file) => URL.createObjectURL(file));
    this.#list.replaceChildren(...files.map((file, index) => this.#item(file, index)));
    this.#refresh();
    this.#onChange();
  }

  /**
   * @param {File} file
   * @param {number} index
   */
  #item(file, index) {
    const item = fromTemplate("reference-template");
    const thumbnail = slot(item, "thumbnail", HTMLImageElement);
    thumbnail.src = this.#urls[index] ?? "";
    // Formats that the browser cannot show, the service may well read.
    thumbnail.addEventListener("error", () => thumbnail.hidden = true);
    slot(item, "name", HTMLElement).textContent = file.name;
    const last = this.#files.length - 1;
    this.#button(item, { name: "earlier", label: `Move ${file.name} earlier`, isOff: index === 0 })
      .addEventListener("click", () => this.#move(index, { by: -1, button: "earlier" }));
    this.#button(item, { name: "later", label: `Move ${file.name} later`, isOff: index === last })
      .addEventListener("click", () => this.#move(index, { by: 1, button: "later" }));
    this.#button(item, { name: "remove", label: `Remove ${file.name}` }).addEventListener("click", () => {
      this.files = this.#files.filter((_, at) => at !== index);
      // What comes after it, or the way to choose another.
      const next = this.#list.children[Math.min(index, this.#files.length - 1)];
      if (next) slot(/** @type {HTMLElement} */ (next), "remove", HTMLButtonElement).focus();
      else this.#input.focus();
    });
    return item;
  }

  /**
   * @param {HTMLElement} item
   * @param {{ name: string, label: string, isOff?: boolean }} options
   */
  #button(item, { name, label, isOff = false }) {
    const button = slot(item, name, HTMLButtonElement);
    button.setAttribute("aria-label", label);
    button.title = label;
    button.disabled = isOff;
    return button;
  }

  /**
   * @param {number} index
   * @param {{ by: -1 | 1, button: string }} options The button keeps the focus, unless it is at an end.
   */
  #move(index, { by, button }) {
    const files = [...this.#files];
    const [moved] = files.splice(index, 1);
    if (moved) files.splice(index + by, 0, moved);
    this.files = files;
    const item = /** @type {HTMLElement} */ (this.#list.children[index + by]);
    const same = slot(item, button, HTMLButtonElement);
    (same.disabled ? slot(item, "remove", HTMLButtonElement) : same).focus();
  }

  #refresh() {
    const { min, max } = this.#limits;
    const count = this.#files.length;
    this.#list.hidden = count === 0;
    const first = max === 1 ? "Choose an image to look at" : "Choose images to look at";
    const isOptional = min === 0;
    slot(this.#root, "choose", HTMLElement).textContent = count === 0
      ? first + (isOptional ? " (optional)" : "")
      : max === 1
      ? "Another image"
      : "More images";
    slot(this.#root, "choice", HTMLElement).hidden = count >= max && max > 0;
    const left = this.#left === 0
      ? ""
      : `. ${this.#left === 1 ? "One was" : `${this.#left} were`} left out: the model looks at ${max}`;
    slot(this.#root, "count", HTMLElement).textContent = count === 0 ? "" : `${count} of ${max}${left}`;
  }
}
