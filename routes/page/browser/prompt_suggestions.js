// A handful of prompts that the model knows by heart, as buttons.

const COUNT = 6;

/**
 * Shows some of `names`, others each time; nothing if there are none.
 *
 * @param {HTMLElement} group
 * @param {{ names: readonly string[], onPick: (name: string) => void }} options
 */
export function promptSuggestions(group, { names, onPick }) {
  group.hidden = names.length === 0;
  const chips = sample(names, COUNT).map((name) => chip(name, () => onPick(name)));
  if (names.length > COUNT) {
    const more = chip("others", () => {
      promptSuggestions(group, { names, onPick });
      group.querySelector(".chip-more")?.setAttribute("aria-label", "Other suggestions");
      /** @type {HTMLElement | null} */ (group.querySelector(".chip-more"))?.focus();
    });
    more.classList.add("chip-more");
    chips.push(more);
  }
  group.replaceChildren(...chips);
}

/**
 * @param {string} label
 * @param {() => void} onClick
 */
function chip(label, onClick) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.textContent = label;
  button.addEventListener("click", onClick);
  return button;
}

/**
 * @param {readonly string[]} values
 * @param {number} count
 */
function sample(values, count) {
  const rest = [...values];
  /** @type {string[]} */
  const drawn = [];
  while (drawn.length < count && rest.length > 0) {
    drawn.push(...rest.splice(Math.floor(Math.random() * rest.length), 1));
  }
  return drawn;
}
