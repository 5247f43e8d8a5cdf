// Finds the elements of a form.

export class FormInputs {
  #form;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.#form = form;
  }

  /** Finds the input with an id. @param {string} name */
  input(name) {
    return this.find(`#${name}`, HTMLInputElement);
  }

  /** Finds the element with an id, which has a value. @param {string} name */
  named(name) {
    return /** @type {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} */ (
      this.find(`#${name}`, HTMLElement)
    );
  }

  /**
   * Finds an element, as the class given.
   *
   * @template {Element} T
   * @param {string} selector
   * @param {abstract new (...args: never[]) => T} type
   * @returns {T}
   */
  find(selector, type) {
    const found = this.#form.querySelector(selector);
    if (!(found instanceof type)) throw new TypeError(`Cannot use the form as it has no '${selector}'`);
    return found;
  }
}
