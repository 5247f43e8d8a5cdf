// The history as a shelf of thumbnails: search, favourites, export, clear.
import { entrySize } from "./history.js";
import { historyItem } from "./history_item.js";
import { pictureName } from "./picture_name.js";
import { zipFile } from "./zip_file.js";

/** @import { History, HistoryEntry } from "./history.js" */

export class HistoryView {
  #section;
  #history;
  #onOpen;
  #search;
  #favourites;
  /** @type {HistoryEntry[]} */
  #entries = [];
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
    this.#search = /** @type {HTMLInputElement} */ (this.#find("#search-history"));
    this.#search.addEventListener("input", () => this.#show());
    this.#favourites = this.#find("#favourites");
    this.#favourites.addEventListener("click", () => {
      const isOn = this.#favourites.getAttribute("aria-pressed") === "true";
      this.#favourites.setAttribute("aria-pressed", String(!isOn));
      this.#show();
    });
    this.#find("#export-history").addEventListener("click", () => void this.#export());
    const clear = this.#find("#clear-history");
    clear.addEventListener("click", async () => {
      // Asked twice: the pictures are nowhere else.
      if (this.#clearing) await this.#history.clear();
      this.#confirm(!this.#clearing);
      await this.refresh();
    });
    clear.addEventListener("blur", () => this.#confirm(false));
  }

  /** Adds a finished picture. @param {Omit<HistoryEntry, "id">} entry */
  async add(entry) {
    await this.#history.add(entry);
    await this.refresh();
  }

  /** Shows what the history holds now. */
  async refresh() {
    this.#entries = await this.#history.list();
    this.#section.hidden = this.#entries.length === 0;
    this.#show();
  }

  #show() {
    const shown = this.#found();
    const { length } = this.#entries;
    const pictures = length === 1 ? "1 picture" : `${length} pictures`;
    const bytes = this.#entries.reduce((sum, entry) => sum + entrySize(entry), 0);
    this.#find("#history-size").textContent = shown.length === length
      ? `${pictures}, ${size(bytes)}`
      : `${shown.length} of ${pictures}`;
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
    this.#find("#pictures").replaceChildren(...shown.map((entry) => this.#item(entry)));
  }

  /** The entries that the search and the choice of favourites leave. */
  #found() {
    const words = this.#search.value.toLocaleLowerCase().split(/\s+/);
    const onlyFavourites = this.#favourites.getAttribute("aria-pressed") === "true";
    return this.#entries.filter(({ request: { prompt }, favourite }) => {
      const text = prompt.toLocaleLowerCase();
      return (favourite || !onlyFavourites) && words.every((word) => text.includes(word));
    });
  }

  /** @param {HistoryEntry} entry */
  #item(entry) {
    const url = URL.createObjectURL(entry.picture);
    this.#urls.push(url);
    return historyItem(entry, {
      url,
      onOpen: () => this.#onOpen(entry),
      onFavourite: () => void this.#toggle(entry),
      onDelete: () => void this.#delete(entry),
    });
  }

  /** @param {HistoryEntry} entry */
  async #toggle(entry) {
    const place = this.#found().indexOf(entry);
    await this.#history.update({ ...entry, favourite: !entry.favourite });
    await this.refresh();
    this.#focus(place, "favourite");
  }

  /** @param {HistoryEntry} entry */
  async #delete(entry) {
    const place = this.#found().indexOf(entry);
    await this.#history.delete(entry.id);
    await this.refresh();
    // The focus stays in the row, so that several can be deleted by keyboard.
    this.#focus(place, "open");
  }

  /**
   * @param {number} place
   * @param {string} slot
   */
  #focus(place, slot) {
    const { children } = this.#find("#pictures");
    const item = children[Math.min(place, children.length - 1)];
    /** @type {HTMLElement | null | undefined} */ (item?.querySelector(`[data-slot="${slot}"]`))?.focus();
  }

  /** One picture as it is, several as a ZIP archive. */
  async #export() {
    const files = this.#found().map((entry) => ({ name: pictureName(entry), content: entry.picture }));
    const [first] = files;
    if (!first) return;
    const link = document.createElement("a");
    link.download = files.length === 1 ? first.name : "spectrum-edge.zip";
    link.href = URL.createObjectURL(files.length === 1 ? first.content : await zipFile(files));
    link.click();
    // The download has its own hold on the bytes once it has begun.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /** @param {boolean} clearing */
  #confirm(clearing) {
    this.#clearing = clearing;
    const kept = this.#entries.some(({ favourite }) => favourite) ? "all but favourites" : "all";
    this.#find("#clear-history").textContent = clearing ? `Delete ${kept}, really?` : "Clear";
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
