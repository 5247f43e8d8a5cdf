// Definition lists: terms and what they are.

/**
 * Replaces the content of a <dl>.
 *
 * @param {HTMLElement} list
 * @param {Record<string, string>} values
 */
export function showFacts(list, values) {
  list.replaceChildren(
    ...Object.entries(values).map(([term, text]) => {
      const group = document.createElement("div");
      const dt = document.createElement("dt");
      const dd = document.createElement("dd");
      dt.textContent = term;
      dd.textContent = text;
      group.append(dt, dd);
      return group;
    }),
  );
}
