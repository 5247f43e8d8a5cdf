// A picture as large as the window allows, with its prompt below; the arrow keys go through the others.
import { movingPicture } from "./moving_picture.js";
import { slot } from "./slots.js";

/**
 * @typedef {{ url: string, picture: Blob, request: { prompt: string }, receipt: { seed:
 * number } }} ZoomedPicture
 */

/**
 * Shows one of `pictures` until the user closes the dialog.
 *
 * @param {readonly ZoomedPicture[]} pictures
 * @param {{ index: number, onShow?: (index: number) => void }} options
 */
export function openZoom(pictures, { index, onShow = () => {} }) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("zoom"));
  const frame = slot(dialog, "frame", HTMLElement);
  const over = new AbortController();
  const { signal } = over;
  let shown = index;
  const step = (/** @type {number} */ by) => show((shown + by + pictures.length) % pictures.length);
  for (const [name, by] of /** @type {const} */ ([["previous", -1], ["next", 1]])) {
    const button = slot(dialog, name, HTMLButtonElement);
    button.hidden = pictures.length < 2;
    button.addEventListener("click", () => step(by), { signal });
  }
  dialog.addEventListener("keydown", (event) => {
    if (pictures.length < 2 || event.target instanceof HTMLVideoElement) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  }, { signal });
  // A click beside the picture closes, as the Escape key does.
  frame.addEventListener("click", ({ target }) => target === frame && dialog.close(), { signal });
  dialog.addEventListener("close", () => {
    over.abort();
    frame.replaceChildren();
  }, { once: true });
  show(index);
  dialog.showModal();

  /** @param {number} at */
  function show(at) {
    const found = pictures[at];
    if (!found) return;
    shown = at;
    const { url, picture, request: { prompt }, receipt } = found;
    const element = movingPicture(url, { type: picture.type, alt: prompt, controls: true });
    element.className = "zoomed";
    frame.replaceChildren(element);
    slot(dialog, "caption", HTMLElement).textContent = prompt;
    slot(dialog, "seed", HTMLElement).textContent = `Seed ${receipt.seed}`;
    onShow(at);
  }
}
