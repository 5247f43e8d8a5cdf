// Messages next to the fields that they are about. A field is any element with
// data-param="name of the request field".

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */

const CONTROLS = "input, textarea, select";
let count = 0;

/**
 * Fields of the page whose names are others on the wire.
 *
 * @type {Record<string, string>}
 */
const FIELDS = { width: "size", height: "size", input_reference: "image" };

/**
 * Shows `message` at the field below `root` and moves the focus there; false if `root` has no visible field
 * of that name.
 *
 * @param {HTMLElement} root
 * @param {{ param: string, message: string }} error
 */
export function showFieldError(root, { param, message }) {
  const name = FIELDS[param] ?? param;
  const field = [...root.querySelectorAll("[data-param]")].find((field) =>
    field instanceof HTMLElement && field.dataset["param"] === name && !field.closest("[hidden]")
  );
  if (!(field instanceof HTMLElement)) return false;
  const details = field.closest("details");
  if (details) details.open = true;

  const note = document.createElement("p");
  note.className = "field-error";
  note.id = `field-error-${count++}`;
  note.textContent = message;
  // Fields that share a row are narrow: their message goes below the row.
  (field.closest(".field-row, .options") ?? field).append(note);
  const controls = /** @type {NodeListOf<Control>} */ (field.querySelectorAll(CONTROLS));
  for (const control of controls) {
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", note.id);
  }
  controls[0]?.focus();
  return true;
}

/** Removes the errors of all fields. @param {HTMLElement} root */
export function clearFieldErrors(root) {
  for (const note of root.querySelectorAll(".field-error")) note.remove();
  for (const control of root.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-describedby");
  }
}

/**
 * Returns the number in a field, or undefined if it is empty.
 *
 * @param {HTMLInputElement} input
 * @returns {number | undefined}
 */
export function numberIn(input) {
  return Number.isNaN(input.valueAsNumber) ? undefined : input.valueAsNumber;
}
