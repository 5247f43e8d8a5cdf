// A model repository on the Hugging Face hub: its commits, its listing, its bytes.
import { listFiles, modelInfo } from "@huggingface/hub";
import { HubError } from "./hub_error.ts";

export interface HubRepositoryOptions {
  /** @default "https://huggingface.co" */
  endpoint?: string | undefined;
  /** Access token; only private and gated models take one. */
  token?: string | undefined;
  /** Aborts what is under way. */
  signal: AbortSignal;
}

export interface HubFile {
  /** Inside the repository, with slashes. */
  path: string;
  /** Bytes. */
  size: number;
  /** Hex: SHA-256 of the content if `lfs`, else git's SHA-1 of the blob. Names the file in the cache. */
  oid: string;
  lfs: boolean;
}

export class HubRepository {
  readonly #name: string;
  readonly #endpoint: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal;

  /** `name` is ORG/NAME. */
  constructor(name: string, { endpoint = "https://huggingface.co", token, signal }: HubRepositoryOptions) {
    this.#name = name;
    this.#endpoint = endpoint.replace(/\/+$/, "");
    this.#token = token;
    this.#signal = signal;
  }

  /** The commit that `revision` (branch, tag or commit) stands for. @throws {HubError} if there is none. */
  async commit(revision: string): Promise<string> {
    const { sha } = await modelInfo({
      name: this.#name,
      revision,
      additionalFields: ["sha"],
      ...this.#access(),
    });
    return sha;
  }

  /** @throws {HubError} */
  async files(commit: string): Promise<HubFile[]> {
    const listing = listFiles({ repo: this.#name, revision: commit, recursive: true, ...this.#access() });
    const files: HubFile[] = [];
    for await (const { type, path, size, oid, lfs } of listing) {
      const id = lfs?.oid ?? oid;
      if (type === "file" && id !== undefined) files.push({ path, size, oid: id, lfs: lfs !== undefined });
    }
    return files;
  }

  /**
   * Requests a file from byte `offset` on. The hub may answer 200 with the whole file all the same.
   * @throws {HubError}
   */
  async open(path: string, { commit, offset }: { commit: string; offset: number }): Promise<Response> {
    // A redirect to the storage drops the token: fetch sends it to the hub's origin alone.
    return await this.#fetch(`${this.#endpoint}/${this.#name}/resolve/${commit}/${path}`, {
      headers: {
        // Byte positions are those of the stored file, so it must not be compressed on the way.
        "Accept-Encoding": "identity",
        ...this.#token !== undefined && { Authorization: `Bearer ${this.#token}` },
        ...offset > 0 && { Range: `bytes=${offset}-` },
      },
    });
  }

  #access() {
    return {
      hubUrl: this.#endpoint,
      fetch: this.#fetch,
      ...this.#token !== undefined && { accessToken: this.#token },
    };
  }

  readonly #fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(input, { ...init, signal: this.#signal });
    } catch (cause) {
      if (this.#signal.aborted) throw this.#signal.reason;
      const { message } =
        (cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause) as Error;
      throw new HubError(`Cannot reach ${this.#endpoint}: ${message}`, { cause, transient: true });
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw this.#refusal(response);
  };

  #refusal({ status, url, headers }: Response): HubError {
    const refuse = (reason: string) => new HubError(`Cannot pull ${this.#name} as ${reason}`);
    const code = headers.get("X-Error-Code");
    if (code === "GatedRepo" || status === 403) {
      return refuse(
        `access to it is restricted: accept its terms at ${this.#endpoint}/${this.#name} and ` +
          (this.#token === undefined ? "pass --token or set HF_TOKEN" : "use a token of that account"),
      );
    }
    if (code === "RevisionNotFound") return refuse("there is no such revision");
    if (status === 401) {
      // The hub does not tell strangers which private models exist.
      return refuse(
        this.#token === undefined
          ? "it does not exist or is private: for a private model pass --token or set HF_TOKEN"
          : "it does not exist or the token may not see it",
      );
    }
    if (status === 404) return refuse(`${this.#endpoint} has no such model, revision or file`);
    const transient = status === 429 || status >= 500;
    return new HubError(`Cannot pull ${this.#name} as ${new URL(url).host} answers with status ${status}`, {
      transient,
    });
  }
}
