// One image of a form: chosen or dropped on its field, shown small with its name, and removed.
import { slot } from "./slots.js";
import { takeImages } from "./take_images.js";

export class ChosenImage {
  #root;
  #onChange;
  #input;
  #thumbnail;
  #words;
  /** @type {File | undefined} */
  #file;

  /**
   * @param {HTMLElement} root
   * @param {object} options
   * @param {() => void} options.onChange
   * @param {{ first: string, other: string }} options.words The button's text without an image and with one.
   */
  constructor(root, { onChange, words }) {
    this.#root = root;
    this.#onChange = onChange;
    this.#words = words;
    this.#input = slot(root, "file", HTMLInputElement);
    this.#thumbnail = slot(root, "thumbnail", HTMLImageElement);
    this.#input.addEventListener("change", () => {
      const [file] = this.#input.files ?? [];
      if (file) this.file = file;
    });
    slot(root, "remove", HTMLButtonElement).addEventListener("click", () => {
      this.file = undefined;
      this.#input.focus();
    });
    takeImages(root, { onImages: ([file]) => this.file = file });
    // Formats that the browser cannot show, the service may well read.
    this.#thumbnail.addEventListener("error", () => this.#thumbnail.hidden = true);
    this.#refresh();
  }

  get file() {
    return this.#file;
  }

  set file(/** @type {File | undefined} */ file) {
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
    slot(this.#root, "choose", HTMLElement).textContent = file ? this.#words.other : this.#words.first;
    slot(this.#root, "name", HTMLElement).textContent = file?.name ?? "";
  }
}
