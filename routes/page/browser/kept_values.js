// Values that outlive the page and are more than text, in IndexedDB: runs under way and the form's image.
import { settled } from "./settled.js";

const NAME = "spectrum-edge-kept";
const STORE = "values";

/**
 * Opens the store. In browsers that keep nothing, as some private windows do, values
 * last as long as the page.
 *
 * @param {{ indexedDB?: IDBFactory }} [options]
 */
export async function openKeptValues({ indexedDB = globalThis.indexedDB } = {}) {
  /** @type {IDBDatabase | undefined} */
  let database;
  try {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    database = await settled(request);
  } catch {
    database = undefined;
  }
  return new KeptValues(database);
}

export class KeptValues {
  #database;
  /** @type {Map<string, unknown>} */
  #values = new Map();

  /** @param {IDBDatabase | undefined} database */
  constructor(database) {
    this.#database = database;
  }

  /**
   * Reads a value.
   *
   * @param {string} name @returns {Promise<any>} undefined without one.
   */
  async get(name) {
    const store = this.#store("readonly");
    return store ? await settled(store.get(name)) : this.#values.get(name);
  }

  /**
   * Stores a value.
   *
   * @param {string} name @param {unknown} value Anything that structured clones know.
   */
  async set(name, value) {
    const store = this.#store("readwrite");
    if (store) await settled(store.put(value, name));
    else this.#values.set(name, value);
  }

  /** Deletes a value. @param {string} name */
  async delete(name) {
    const store = this.#store("readwrite");
    if (store) await settled(store.delete(name));
    else this.#values.delete(name);
  }

  /**
   * Lists names.
   *
   * @param {string} prefix @returns {Promise<string[]>} The names that begin so.
   */
  async names(prefix) {
    const store = this.#store("readonly");
    const names = store ? await settled(store.getAllKeys()) : [...this.#values.keys()];
    return names.map(String).filter((name) => name.startsWith(prefix));
  }

  /** @param {IDBTransactionMode} mode */
  #store(mode) {
    return this.#database?.transaction(STORE, mode).objectStore(STORE);
  }
}
