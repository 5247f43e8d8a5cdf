// The elements in which a method and its options are chosen, made of the sampler's table.
import { FIELDS, METHOD_OPTIONS } from "./method_options.js";

/** Creates one radio button for each method. @param {string} name Sets this group apart from others. */
export function methodChoices(name) {
  return Object.entries(METHOD_OPTIONS).map(([value, { label }]) => choice({ name, value, label }));
}

/**
 * Creates one radio button of a segmented choice.
 *
 * @param {{ name: string, value: string, label: string }} options
 */
export function choice({ name, value, label }) {
  const text = document.createElement("span");
  text.textContent = label;
  const radio = Object.assign(document.createElement("input"), { type: "radio", name, value });
  return wrap("label", radio, text);
}

/** Creates one number field for each option. */
export function optionFields() {
  return FIELDS.map(({ wire, label, help, integer, min, max }) => {
    const input = Object.assign(document.createElement("input"), {
      name: wire,
      type: "number",
      min: String(min),
      max: max === undefined ? "" : String(max),
      step: integer ? "" : "any",
      title: help,
    });
    const field = wrap("div", wrap("label", `${label} `, input));
    field.className = "field";
    field.dataset["param"] = `spectrum.${wire}`;
    return field;
  });
}

/**
 * @param {"div" | "label"} tag
 * @param {(Node | string)[]} children
 */
function wrap(tag, ...children) {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}
