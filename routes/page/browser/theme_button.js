// The button that goes through the colour themes: system, light, dark.

const THEMES = ["system", "light", "dark"];

/** Connects the button with the page's theme. @param {HTMLElement} button */
export function themeButton(button) {
  const root = document.documentElement;
  label();
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    if (next === undefined || next === "system") delete root.dataset["theme"];
    else root.dataset["theme"] = next;
    remember();
    label();
  });

  function current() {
    return root.dataset["theme"] ?? "system";
  }

  function label() {
    button.title = `Colour theme: ${current()}`;
    button.setAttribute("aria-label", button.title);
  }

  function remember() {
    try {
      localStorage.setItem("theme", current() === "system" ? "" : current());
    } catch {
      // Storage is switched off: the choice lasts as long as the page.
    }
  }
}
