// Signs of a run outside of the page: the time left in the window's title, and a notification at the
// end if the user wants one.
import { showSeconds } from "./run_progress.js";

const NAME = "Spectrum Edge";
const KEPT = "notify";

export class RunSigns {
  #button;

  /**
   * @param {HTMLElement} button Asks for a notification: shown during a run, until the browser has said no.
   */
  constructor(button) {
    this.#button = button;
    button.addEventListener("click", async () => {
      const wanted = button.getAttribute("aria-pressed") !== "true";
      const granted = wanted && await Notification.requestPermission() === "granted";
      localStorage.setItem(KEPT, granted ? "on" : "");
      this.#refresh();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && button.hidden) document.title = NAME;
    });
    button.hidden = true;
  }

  /** Shows that a run is under way. @param {number} [secondsLeft] */
  running(secondsLeft) {
    document.title = secondsLeft === undefined
      ? `Drawing – ${NAME}`
      : `${showSeconds(Math.max(secondsLeft, 1))} left – ${NAME}`;
    if (this.#button.hidden) this.#refresh();
  }

  /** Shows that a run is over. @param {{ prompt: string, finished: boolean }} run */
  ended({ prompt, finished }) {
    this.#button.hidden = true;
    document.title = finished && document.hidden ? `Done – ${NAME}` : NAME;
    if (!finished || !document.hidden || !this.#wanted) return;
    const notification = new Notification("Your picture is ready", { body: prompt, tag: "run" });
    notification.addEventListener("click", () => focus());
  }

  get #wanted() {
    return localStorage.getItem(KEPT) === "on" && Notification.permission === "granted";
  }

  #refresh() {
    this.#button.hidden = !("Notification" in globalThis) || Notification.permission === "denied";
    if (!this.#button.hidden) this.#button.setAttribute("aria-pressed", String(this.#wanted));
  }
}
