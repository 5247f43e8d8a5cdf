// Copies of the page's <template>s, and the elements in them that are filled by name.

/**
 * Copies the template's only element.
 *
 * @param {string} templateId
 * @returns {HTMLElement}
 */
export function fromTemplate(templateId) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(templateId));
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
}

/**
 * Finds the element with data-slot="name" below `root`, as the class given.
 *
 * @template {Element} T
 * @param {Element} root
 * @param {string} name
 * @param {abstract new (...args: never[]) => T} type
 * @returns {T}
 */
export function slot(root, name, type) {
  const found = root.querySelector(`[data-slot="${name}"]`);
  if (!(found instanceof type)) throw new TypeError(`Cannot fill slot '${name}': it is not in the template`);
  return found;
}
