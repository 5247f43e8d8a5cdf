// How small pictures are enlarged: crisp pixels or smooth. Remembered.

/**
 * Connects the choice with `root`.
 *
 * @param {HTMLElement} fieldset
 * @param {HTMLElement} root Gets data-scaling="crisp" or "smooth".
 */
export function scalingChoice(fieldset, root) {
  const radios = [.../** @type {NodeListOf<HTMLInputElement>} */ (fieldset.querySelectorAll("input"))];
  choose(localStorage.getItem("scaling") ?? "smooth");
  fieldset.addEventListener("input", () => {
    const value = radios.find((radio) => radio.checked)?.value ?? "smooth";
    localStorage.setItem("scaling", value);
    choose(value);
  });

  /** @param {string} value */
  function choose(value) {
    root.dataset["scaling"] = value;
    for (const radio of radios) radio.checked = radio.value === value;
  }
}
