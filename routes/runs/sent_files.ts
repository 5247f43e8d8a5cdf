// Remembers the image files that a worker has been sent, so that each file travels to it once. Other runs of
// the file wait for the first run, and then name the file by its digest.
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { FILE_FIELDS, FILE_LISTS, type OpenRunRequest } from "../../protocol/wire/run_request.ts";

/** Number of remembered files. The worker keeps fewer, and asks for a file that it has forgotten. */
const REMEMBERED = 1000;

/** The files of a request. */
export interface RequestFiles {
  /** All of their digests: equal for requests of equal files. */
  key: string;
  /** The request without its files, which it names by their digests. */
  named: OpenRunRequest;
}

/** Returns the files of a request. @returns undefined for a request without files */
export function filesOf(request: OpenRunRequest): RequestFiles | undefined {
  const named = { ...request };
  const digests: string[] = [];
  const digestOf = (file: string) => {
    const digest = createHash("sha256").update(file, "base64").digest("hex");
    digests.push(digest);
    return digest;
  };
  for (const name of FILE_FIELDS) {
    const file = request[name];
    if (!file) continue;
    delete named[name];
    named[`${name}_sha256`] = digestOf(file);
  }
  for (const name of FILE_LISTS) {
    const files = request[name];
    if (!files) continue;
    delete named[name];
    named[`${name}_sha256`] = files.map(digestOf);
  }
  return digests.length === 0 ? undefined : { key: digests.join("."), named };
}

export class SentFiles {
  readonly #sent = new LRUCache<string, true>({ max: REMEMBERED });
  readonly #sending = new Map<string, Promise<unknown>>();

  /**
   * Sends the files with `send` unless the worker has them. Waits for another request that sends them.
   * @returns undefined if the worker has them
   */
  async send<Answer>(key: string, send: () => Promise<Answer>): Promise<Answer | undefined> {
    for (let other = this.#sending.get(key); other !== undefined; other = this.#sending.get(key)) await other;
    if (this.#sent.get(key)) return undefined;
    const answer = send();
    // Other requests see for themselves how it ended.
    const ended = answer.then(() => void this.#sent.set(key, true), () => {})
      .finally(() => this.#sending.delete(key));
    this.#sending.set(key, ended);
    return await answer;
  }

  /** Forgets the files that a worker has: it has lost them, as after a restart. */
  forget(key: string): void {
    this.#sent.delete(key);
  }
}
