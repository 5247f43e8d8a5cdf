// The finished pictures of this browser, in IndexedDB: bounded, the oldest go first.

/** @import { ImageRequest, Receipt } from "./wire.d.ts" */

/**
 * @typedef {object} HistoryEntry
 * @property {number} id
 * @property {ImageRequest} request
 * @property {Receipt} receipt
 * @property {Blob} picture
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
   * @param {Omit<HistoryEntry, "id">} entry
   * @returns {Promise<void>}
   */
  async add(entry) {
    await settled(this.#store("readwrite").add(entry));
    const entries = await this.list();
    let bytes = 0;
    for (const [age, { id, picture }] of entries.entries()) {
      bytes += picture.size;
      if (age > 0 && (age >= this.#maxEntries || bytes > this.#maxBytes)) await this.delete(id);
    }
  }

  /**
   * The newest first.
   *
   * @returns {Promise<HistoryEntry[]>}
   */
  async list() {
    return (await settled(this.#store("readonly").getAll())).reverse();
  }

  /** @param {number} id */
  async delete(id) {
    await settled(this.#store("readwrite").delete(id));
  }

  async clear() {
    await settled(this.#store("readwrite").clear());
  }

  /** @param {IDBTransactionMode} mode */
  #store(mode) {
    return this.#database.transaction(STORE, mode).objectStore(STORE);
  }
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
