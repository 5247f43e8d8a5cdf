// The history as a shelf of thumbnails: open, delete, clear.
import { entrySize } from "./history.js";
import { movingPicture } from "./moving_picture.js";
import { METHOD_OPTIONS } from "./method_options.js";
import { fromTemplate, slot } from "./slots.js";

/** @import { History, HistoryEntry } from "./history.js" */

export class HistoryView {
  #section;
  #history;
  #onOpen;
  /** @type {string[]} */
  #urls = [];
  #clearing = false;

  /**
   * @param {HTMLElement} section
   * @param {{ history: History, onOpen: (entry: HistoryEntry) => void }} options
   */
  constructor(section, { history, onOpen }) {
    this.#section = section;
    this.#history = history;
    this.#onOpen = onOpen;
    const clear = this.#find("#clear-history");
    clear.addEventListener("click", async () => {
      // Asked twice: the pictures are nowhere else.
      if (this.#clearing) await this.#history.clear();
      this.#confirm(!this.#clearing);
      await this.refresh();
    });
    clear.addEventListener("blur", () => this.#confirm(false));
  }

  /** @param {Omit<HistoryEntry, "id">} entry */
  async add(entry) {
    await this.#history.add(entry);
    await this.refresh();
  }

  /** Shows what the history holds now. */
  async refresh() {
    const entries = await this.#history.list();
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
    this.#section.hidden = entries.length === 0;
    const bytes = entries.reduce((sum, entry) => sum + entrySize(entry), 0);
    this.#find("#history-size").textContent = `${entries.length} ${
      entries.length === 1 ? "picture" : "pictures"
    }, ${size(bytes)}`;
    this.#find("#pictures").replaceChildren(...entries.map((entry) => this.#item(entry)));
  }

  /** @param {HistoryEntry} entry */
  #item(entry) {
    const { id, request, receipt, picture } = entry;
    const item = fromTemplate("history-template");
    const label =
      `${request.prompt}, ${METHOD_OPTIONS[receipt.method].label}, ${receipt.full_steps.length} of ` +
      `${receipt.full_steps.length + receipt.forecast_steps.length} full passes, seed ${receipt.seed}`;
    slot(item, "caption", HTMLElement).textContent = `${
      METHOD_OPTIONS[receipt.method].label
    }, ${receipt.full_steps.length}`;
    const image = slot(item, "image", HTMLImageElement);
    const url = URL.createObjectURL(picture);
    this.#urls.push(url);
    image.loading = "lazy";
    if (picture.type.startsWith("video/")) {
      image.replaceWith(movingPicture(url, { type: picture.type, alt: "" }));
    } else image.src = url;
    const open = slot(item, "open", HTMLButtonElement);
    open.title = label;
    open.setAttribute("aria-label", `Open ${label}`);
    open.addEventListener("click", () => this.#onOpen(entry));
    const remove = slot(item, "delete", HTMLButtonElement);
    remove.title = "Delete";
    remove.setAttribute("aria-label", `Delete ${label}`);
    remove.addEventListener("click", () => this.#delete(id, item));
    return item;
  }

  /**
   * @param {number} id
   * @param {HTMLElement} item
   */
  async #delete(id, item) {
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    const place = neighbour && [...this.#find("#pictures").children].indexOf(neighbour);
    await this.#history.delete(id);
    await this.refresh();
    // The focus stays in the row, for who deletes several by keyboard.
    const next = this.#find("#pictures").children[Math.max((place ?? 0) - 1, 0)];
    next?.querySelector("button")?.focus();
  }

  /** @param {boolean} clearing */
  #confirm(clearing) {
    this.#clearing = clearing;
    this.#find("#clear-history").textContent = clearing ? "Delete all, really?" : "Clear";
  }

  /** @param {string} selector */
  #find(selector) {
    return /** @type {HTMLElement} */ (this.#section.querySelector(selector));
  }
}

/** @param {number} bytes */
function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
