// Keeps the image files that edges have sent, so that the runs of a request, its retries and its later edits
// name them by digest instead of sending them again.
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { FILE_FIELDS, FILE_LISTS, type RunRequest } from "../../protocol/wire/run_request.ts";

/** Characters of base64 that are kept. Beyond it the files that were not named for the longest time go. */
const MAX_CHARACTERS = 64 * 2 ** 20;

export class FileStore {
  /** SHA-256 in hex -> the file in base64. */
  readonly #files: LRUCache<string, string>;

  constructor(maxCharacters: number = MAX_CHARACTERS) {
    this.#files = new LRUCache({ maxSize: maxCharacters, sizeCalculation: (base64) => base64.length || 1 });
  }

  /**
   * Returns `request` with its files, and keeps them.
   * @throws {ApiError} 409 if the request names a file that this worker does not
   * have: the edge sends it then.
   */
  resolve(request: RunRequest): RunRequest {
    const resolved = { ...request };
    for (const name of FILE_FIELDS) {
      const digest = request[`${name}_sha256`];
      delete resolved[`${name}_sha256`];
      const sent = request[name];
      if (sent !== undefined) resolved[name] = this.#keep(sent);
      else if (digest !== undefined) resolved[name] = this.#find(digest, `${name}_sha256`);
    }
    for (const name of FILE_LISTS) {
      const digests = request[`${name}_sha256`];
      delete (resolved as Partial<RunRequest>)[`${name}_sha256`];
      const sent = request[name];
      if (sent !== undefined) resolved[name] = sent.map((file) => this.#keep(file));
      else if (digests !== undefined) {
        resolved[name] = digests.map((digest) => this.#find(digest, `${name}_sha256`));
      }
    }
    return resolved;
  }

  /** Keeps a file and returns it. Equal files are held once. */
  #keep(sent: string): string {
    const digest = createHash("sha256").update(sent, "base64").digest("hex");
    const known = this.#files.get(digest);
    if (known === undefined) this.#files.set(digest, sent);
    return known ?? sent;
  }

  #find(digest: string, param: string): string {
    const known = this.#files.get(digest);
    if (known !== undefined) return known;
    throw new ApiError(409, `This worker does not have the file that '${param}' names. Send it.`, {
      param,
      code: "file_unknown",
    });
  }
}
