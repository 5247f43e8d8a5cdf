// One picture of the history: open, keep as a favourite, delete.
import { METHOD_OPTIONS } from "./method_options.js";
import { movingPicture } from "./moving_picture.js";
import { fromTemplate, slot } from "./slots.js";

/** @import { HistoryEntry } from "./history.js" */

/**
 * Creates the element of an entry.
 *
 * @param {HistoryEntry} entry
 * @param {{ url: string, onOpen: () => void, onFavourite: () => void, onDelete: () => void }} options
 */
export function historyItem(entry, { url, onOpen, onFavourite, onDelete }) {
  const { request: { prompt }, receipt, picture, favourite = false } = entry;
  const item = fromTemplate("history-template");
  const method = METHOD_OPTIONS[receipt.method].label;
  const label = `${prompt}, ${method}, ${receipt.full_steps.length} of ` +
    `${receipt.full_steps.length + receipt.forecast_steps.length} full passes, seed ${receipt.seed}`;
  slot(item, "caption", HTMLElement).textContent = prompt;
  slot(item, "method", HTMLElement).textContent = `${method}, ${receipt.full_steps.length}`;
  const image = slot(item, "image", HTMLImageElement);
  image.loading = "lazy";
  if (picture.type.startsWith("video/")) {
    image.replaceWith(movingPicture(url, { type: picture.type, alt: "" }));
  } else image.src = url;
  button("open", `Open ${label}`, onOpen).title = label;
  const star = button("favourite", `Favourite ${label}`, onFavourite);
  star.title = "Favourite";
  star.setAttribute("aria-pressed", String(favourite));
  button("delete", `Delete ${label}`, onDelete).title = "Delete";
  return item;

  /**
   * @param {string} name
   * @param {string} label
   * @param {() => void} onClick
   */
  function button(name, label, onClick) {
    const button = slot(item, name, HTMLButtonElement);
    button.setAttribute("aria-label", label);
    button.addEventListener("click", onClick);
    return button;
  }
}
