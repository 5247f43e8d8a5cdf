// The runs under way of this browser: any tab can take one up. This tab's own is in its address, "#run=ID",
// so that a reload finds it; the records are in IndexedDB, as requests may hold images.

/** @import { KeptValues } from "./kept_values.js" */
/** @import { PlannedRun } from "./stage.js" */
/** @import { ImageRequest } from "./wire.d.ts" */

/**
 * @typedef {object} OpenRun
 * @property {string} id
 * @property {ImageRequest[]} requests Made one after the other.
 * @property {PlannedRun[]} plans One for each request.
 * @property {number} partialImages
 * @property {string[]} jobs Of the requests that have begun.
 */

const PREFIX = "run:";

export class OpenRuns {
  #values;
  #location;

  /**
   * @param {Promise<KeptValues>} values
   * @param {{ location?: Location, history?: Pick<globalThis.History, "replaceState"> }} [browser]
   */
  constructor(values, { location = globalThis.location, history = globalThis.history } = {}) {
    this.#values = values;
    this.#location = { location, history };
  }

  /** @param {OpenRun} run Noted anew whenever another job of it has begun. */
  async note(run) {
    this.#show(run.id);
    await (await this.#values).set(PREFIX + run.id, run);
  }

  /** @param {Pick<OpenRun, "id">} run It has ended. */
  async forget({ id }) {
    this.#show(undefined);
    await (await this.#values).delete(PREFIX + id);
  }

  /** @returns {Promise<OpenRun | undefined>} The run that this tab's address names. */
  async own() {
    const id = /^#run=([\w-]{1,64})$/.exec(this.#location.location.hash)?.[1];
    const run = id && await (await this.#values).get(PREFIX + id);
    if (!run && id) this.#show(undefined);
    return run || undefined;
  }

  /** @returns {Promise<OpenRun[]>} All that no tab has seen the end of. */
  async list() {
    const values = await this.#values;
    const runs = await Promise.all((await values.names(PREFIX)).map((name) => values.get(name)));
    return runs.filter((run) => run !== undefined);
  }

  /** @param {string | undefined} id */
  #show(id) {
    const { location, history } = this.#location;
    const address = location.pathname + location.search + (id === undefined ? "" : `#run=${id}`);
    history.replaceState(null, "", address);
  }
}
