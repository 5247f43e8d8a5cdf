// The finished pictures of this browser, in IndexedDB: bounded, the oldest go first.
import { settled } from "./settled.js";

/** @import { ImageRequest, Receipt } from "./wire.d.ts" */

/**
 * @typedef {object} HistoryEntry
 * @property {number} id
 * @property {ImageRequest} request
 * @property {Receipt} receipt
 * @property {Blob} picture
 * @property {boolean} [favourite] Stays whatever the bounds say.
 */

const NAME = "spectrum-edge";
const STORE = "pictures";

export class History {
  #database;
  #maxEntries;
  #maxBytes;

  /**
   * @param {IDBDatabase} database
   * @param {{ maxEntries?: number, maxBytes?: number }} options
   */
  constructor(database, { maxEntries = 120, maxBytes = 128 * 1024 * 1024 }) {
    this.#database = database;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  /**
   * Opens the history.
   *
   * @param {{ indexedDB?: IDBFactory, maxEntries?: number, maxBytes?: number }} [options]
   * @throws {DOMException} If the browser keeps nothing, as in some private windows.
   */
  static async open({ indexedDB = globalThis.indexedDB, ...limits } = {}) {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    };
    return new History(await settled(request), limits);
  }

  /**
   * Adds a picture as the newest; an earlier one of the same request goes, as does what the
   * bounds leave no room for.
   *
   * @param {Omit<HistoryEntry, "id">} entry
   * @returns {Promise<void>}
   */
  async add(entry) {
    const name = nameOf(entry.request);
    let bytes = entrySize(entry);
    let favourite = entry.favourite ?? false;
    for (const [index, earlier] of (await this.list()).entries()) {
      const isSame = nameOf(earlier.request) === name;
      if (isSame) favourite ||= earlier.favourite ?? false;
      bytes += entrySize(earlier);
      const full = !earlier.favourite && (index + 1 >= this.#maxEntries || bytes > this.#maxBytes);
      if (full || isSame) await this.delete(earlier.id);
    }
    await settled(this.#store("readwrite").add({ ...entry, favourite }));
  }

  /** Replaces an entry. @param {HistoryEntry} entry One that is there, with what has changed. */
  async update(entry) {
    await settled(this.#store("readwrite").put(entry));
  }

  /** Lists the entries, the newest first. @returns {Promise<HistoryEntry[]>} */
  async list() {
    return (await settled(this.#store("readonly").getAll())).reverse();
  }

  /** Deletes an entry. @param {number} id */
  async delete(id) {
    await settled(this.#store("readwrite").delete(id));
  }

  /** Deletes all but favourites. */
  async clear() {
    for (const { id, favourite } of await this.list()) if (!favourite) await this.delete(id);
  }

  /** @param {IDBTransactionMode} mode */
  #store(mode) {
    return this.#database.transaction(STORE, mode).objectStore(STORE);
  }
}

/**
 * Returns an entry's size in bytes.
 *
 * @param {Omit<HistoryEntry, "id">} entry
 */
export function entrySize({ picture, request }) {
  const files = Object.values(request).flat().filter((value) => value instanceof File);
  return files.reduce((sum, file) => sum + file.size, picture.size);
}

/**
 * Equal requests have equal names.
 *
 * @param {ImageRequest} request
 */
function nameOf(request) {
  // A mask is a new file with each request.
  return JSON.stringify(
    request,
    (_key, value) =>
      value instanceof File
        ? [value.name, value.size, value.name === "mask.png" ? 0 : value.lastModified]
        : value,
  );
}
