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

  /** Stores a run, and again whenever another job of it has begun. @param {OpenRun} run */
  async note(run) {
    this.#show(run.id);
    await (await this.#values).set(PREFIX + run.id, run);
  }

  /** Deletes a run that has ended. @param {Pick<OpenRun, "id">} run */
  async forget({ id }) {
    this.#show(undefined);
    await (await this.#values).delete(PREFIX + id);
  }

  /** Finds the run that this tab's address names. @returns {Promise<OpenRun | undefined>} */
  async own() {
    const id = /^#run=([\w-]{1,64})$/.exec(this.#location.location.hash)?.[1];
    const run = id && await (await this.#values).get(PREFIX + id);
    if (!run && id) this.#show(undefined);
    return run || undefined;
  }

  /** Lists the runs whose end no tab has seen. @returns {Promise<OpenRun[]>} */
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
