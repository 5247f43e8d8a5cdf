// Keeps what the form holds: its fields in localStorage, its image, which is no text, in IndexedDB.

/** @import { KeptValues } from "./kept_values.js" */
/** @import { FormState, RequestForm } from "./request_form.js" */

const NAME = "form";
const IMAGE = "image";

export class FormMemory {
  #form;
  #values;
  #storage;
  /** @type {File | undefined} */
  #image;

  /**
   * @param {RequestForm} form
   * @param {{ values: Promise<KeptValues>, storage?: Storage }} options
   */
  constructor(form, { values, storage = localStorage }) {
    this.#form = form;
    this.#values = values;
    this.#storage = storage;
  }

  /** Fills the form as it was left. The image follows once it is read. */
  restore() {
    /** @type {FormState | null} */
    let state = null;
    try {
      state = JSON.parse(this.#storage.getItem(NAME) ?? "null");
      if (state) this.#form.state = state;
    } catch {
      // Another version of the page wrote it, or storage is switched off: the form begins anew.
    }
    void this.#restoreImage(state?.strength);
  }

  /** Keeps what the form holds now. */
  save() {
    const { state, image } = this.#form;
    if (state === undefined) return;
    try {
      this.#storage.setItem(NAME, JSON.stringify(state));
    } catch {
      // Storage is full or switched off: the form lasts as long as the page.
    }
    if (image !== this.#image) void this.#saveImage(image);
  }

  /** @param {number | undefined} strength */
  async #restoreImage(strength) {
    const image = await (await this.#values).get(IMAGE);
    // Something newer may have been chosen meanwhile.
    if (!(image instanceof File) || this.#form.image) return;
    this.#image = image;
    this.#form.startFrom({ image, strength });
  }

  /** @param {File | undefined} image */
  async #saveImage(image) {
    this.#image = image;
    const values = await this.#values;
    await (image ? values.set(IMAGE, image) : values.delete(IMAGE)).catch(() => {});
  }
}
