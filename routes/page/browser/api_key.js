// The key for a service that asks for one: kept in sessionStorage, so for this tab until it is closed. An
// address that ends in "#key=KEY", as `deno task start --key` prints it, brings one. Browsers send nothing
// behind "#" to any server.
import { ApiError } from "./api_error.js";

const NAME = "api-key";

const brought = /^#key=([\w-]{1,512})$/.exec(location.hash)?.[1];
if (brought !== undefined) {
  sessionStorage.setItem(NAME, brought);
  // Out of the address bar and the history.
  history.replaceState(null, "", location.pathname + location.search);
}

export const apiKey = {
  /** @returns {string | undefined} */
  get value() {
    return sessionStorage.getItem(NAME) ?? undefined;
  },

  /**
   * Runs `action`, asking for a key and running it again for as long as the service answers 401.
   *
   * @template T
   * @param {(key: string | undefined) => Promise<T>} action
   * @returns {Promise<T>}
   * @throws {ApiError} The 401, if the user gives no key.
   */
  async with(action) {
    for (;;) {
      try {
        return await action(apiKey.value);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 401) throw error;
        keyButton().hidden = false;
        if (await ask(error.message) !== "use") throw error;
      }
    }
  },

  /**
   * The button that changes the key or forgets it: there while the service asks for one.
   * @param {() => void} onChange
   */
  showButton(onChange) {
    const button = keyButton();
    button.hidden = apiKey.value === undefined;
    button.addEventListener("click", async () => {
      if (await ask("") === "use") onChange();
    });
  },
};

function keyButton() {
  return /** @type {HTMLElement} */ (document.getElementById("key-button"));
}

/**
 * @param {string} reason
 * @returns {Promise<"use" | "forget" | "cancel">} "use" if the user gave a key.
 */
function ask(reason) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("key-dialog"));
  const input = /** @type {HTMLInputElement} */ (document.getElementById("key"));
  const forget = document.getElementById("key-forget");
  const note = document.getElementById("key-reason");
  if (note) note.textContent = reason;
  if (forget) forget.hidden = apiKey.value === undefined;
  dialog.returnValue = "cancel";
  input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    // Kept before the dialog is gone: "close" comes a moment later, and a request in between
    // would still have the old key.
    const keep = (/** @type {SubmitEvent} */ { submitter }) => {
      const choice = submitter?.getAttribute("value");
      if (choice === "use") sessionStorage.setItem(NAME, input.value.trim());
      if (choice === "forget") sessionStorage.removeItem(NAME);
    };
    dialog.addEventListener("submit", keep);
    dialog.addEventListener("close", () => {
      dialog.removeEventListener("submit", keep);
      resolve(/** @type {"use" | "forget" | "cancel"} */ (dialog.returnValue));
    }, { once: true });
  });
}
