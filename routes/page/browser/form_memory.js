// Keeps what the form holds: its fields in localStorage, its images, which are no text, in IndexedDB.

/** @import { KeptValues } from "./kept_values.js" */
/** @import { FormFiles, FormState, RequestForm } from "./request_form.js" */

const NAME = "form";
/** The names of the files, here and there. */
const FILES = /** @type {const} */ (["image", "last_frame", "control_image", "references"]);

export class FormMemory {
  #form;
  #values;
  #storage;
  /** @type {FormFiles} What is kept. */
  #files = {};

  /**
   * @param {RequestForm} form
   * @param {{ values: Promise<KeptValues>, storage?: Storage }} options
   */
  constructor(form, { values, storage = localStorage }) {
    this.#form = form;
    this.#values = values;
    this.#storage = storage;
  }

  /** Fills the form as it was left. The images follow once they are read. */
  restore() {
    /** @type {FormState | null} */
    let state = null;
    try {
      state = JSON.parse(this.#storage.getItem(NAME) ?? "null");
      if (state) this.#form.state = state;
    } catch {
      // Another version of the page wrote it, or storage is switched off: the form begins anew.
    }
    void this.#restoreFiles(state?.strength);
  }

  /** Keeps what the form holds now. */
  save() {
    const { state, files } = this.#form;
    if (state === undefined) return;
    try {
      this.#storage.setItem(NAME, JSON.stringify(state));
    } catch {
      // Storage is full or switched off: the form lasts as long as the page.
    }
    for (const name of FILES) {
      if (!isSame(files[name], this.#files[name])) void this.#saveFile(name, files[name]);
    }
  }

  /** @param {number | undefined} strength */
  async #restoreFiles(strength) {
    const values = await this.#values;
    /** @type {FormFiles} */
    const files = {};
    for (const name of FILES) {
      const value = await values.get(name);
      // Something newer may have been chosen meanwhile.
      if (isFile(value) && this.#form.files[name] === undefined) files[name] = value;
    }
    this.#files = { ...this.#files, ...files };
    this.#form.restoreFiles(files, { strength });
  }

  /**
   * @param {typeof FILES[number]} name
   * @param {File | File[] | undefined} value
   */
  async #saveFile(name, value) {
    this.#files = { ...this.#files, [name]: value };
    const values = await this.#values;
    await (value ? values.set(name, value) : values.delete(name)).catch(() => {});
  }
}

/** @param {unknown} value */
function isFile(value) {
  return Array.isArray(value) ? value.every((file) => file instanceof File) : value instanceof File;
}

/**
 * @param {File | File[] | undefined} a
 * @param {File | File[] | undefined} b
 */
function isSame(a, b) {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((file, index) => file === b[index]);
}
