// A model repository on the Hugging Face hub: its commits, its file listing and its files.
import { listFiles, modelInfo } from "@huggingface/hub";
import { setTimeout as delay } from "node:timers/promises";
import { showValue } from "../../../sampler/mod.ts";
import { HubError, type HubErrorOptions } from "./hub_error.ts";
import { type HubFile, readCommit, readHubFile } from "./hub_file.ts";
import { ATTEMPTS, readRetryAfter, retryDelay } from "./retry_delay.ts";

export interface HubRepositoryOptions {
  /** @default "https://huggingface.co" */
  endpoint?: string | undefined;
  /** Access token, for private and gated models. Sent only to the endpoint's origin. */
  token?: string | undefined;
  /** Aborts requests in progress. */
  signal: AbortSignal;
  /** @default globalThis.fetch */
  fetch?: typeof fetch;
  /** Waits between attempts. @default uses a timer */
  wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
  /** @default Date.now */
  now?: () => number;
}

/** Limit of listing pages. The hub lists 1,000 files per page; a repository holds at most 100,000. */
const MAX_PAGES = 1000;
/** Limit of all pages together. */
const MAX_LISTING_BYTES = 256 * 2 ** 20;
const DECODERS: Readonly<Record<string, CompressionFormat>> = {
  "gzip": "gzip",
  "x-gzip": "gzip",
  "deflate": "deflate",
  "br": "brotli" as CompressionFormat,
};

export class HubRepository {
  readonly #name: string;
  readonly #endpoint: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal;
  readonly #request: typeof fetch;
  readonly #wait: (ms: number, signal: AbortSignal) => Promise<unknown>;
  readonly #now: () => number;

  /** @param name ORG/NAME */
  constructor(name: string, options: HubRepositoryOptions) {
    const { endpoint = "https://huggingface.co", token, signal } = options;
    if (!URL.canParse(endpoint)) {
      throw new HubError(
        `Cannot pull ${name} as HF_ENDPOINT must be an address, but is '${showValue(endpoint)}'`,
      );
    }
    this.#name = name;
    this.#endpoint = endpoint.replace(/\/+$/, "");
    this.#token = token;
    this.#signal = signal;
    this.#request = options.fetch ?? fetch;
    this.#wait = options.wait ?? ((ms, signal) => delay(ms, undefined, { signal }));
    this.#now = options.now ?? Date.now;
  }

  /** Returns the commit of `revision` (branch, tag or commit). @throws {HubError} if there is none. */
  async commit(revision: string): Promise<string> {
    const { sha } = await modelInfo({
      name: this.#name,
      revision,
      additionalFields: ["sha"],
      ...this.#access((answer) => typeof answer === "object" && answer !== null),
    });
    return readCommit(sha, this.#name);
  }

  /**
   * Lists the files of a commit.
   * @throws {HubError} if the hub refuses, lists without end, or names a file by an invalid path.
   */
  async files(commit: string): Promise<HubFile[]> {
    const access = this.#access(Array.isArray);
    const listing = listFiles({ repo: this.#name, revision: commit, recursive: true, ...access });
    const files: HubFile[] = [];
    for await (const entry of listing) {
      const file = readHubFile(entry, this.#name);
      if (file !== undefined) files.push(file);
    }
    return files;
  }

  /**
   * Requests a file from byte `offset` on. The hub may still answer 200 with the
   * whole file, for example if the range is refused or compressed.
   * @throws {HubError}
   */
  async open(path: string, { commit, offset }: { commit: string; offset: number }): Promise<Response> {
    const ask = (headers: Record<string, string>) =>
      this.#fetch(`${this.#endpoint}/${this.#name}/resolve/${commit}/${encodePath(path)}`, {
        // Byte positions refer to the stored file, so the response must not be compressed.
        headers: { "Accept-Encoding": "identity", ...this.#authorization(), ...headers },
      });
    if (offset > 0) {
      const part = await ask({ Range: `bytes=${offset}-` }).catch((error) => {
        if (error instanceof HubError && error.status === 416) return undefined;
        throw error;
      });
      if (part !== undefined && !isEncoded(part)) return part;
      await part?.body?.cancel();
    }
    return this.#decode(await ask({}), path);
  }

  /** Decompresses the response: a proxy may compress it although identity was asked for. */
  #decode(response: Response, path: string): Response {
    if (!isEncoded(response) || response.body === null) return response;
    const encoding = response.headers.get("Content-Encoding")!.trim().toLowerCase();
    const format = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding]! : undefined;
    if (format === undefined) {
      throw new HubError(
        `Cannot pull ${path} as ${this.#endpoint} sends it in the unsupported encoding '${
          showValue(encoding)
        }'`,
      );
    }
    return new Response(response.body.pipeThrough(new DecompressionStream(format)), { status: 200 });
  }

  #authorization(): Record<string, string> {
    return this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` };
  }

  /**
   * Returns the library's access to the hub. Its fetch bounds the answers, retries
   * transient failures, and checks answers before they are parsed.
   */
  #access(isExpected: (answer: unknown) => boolean) {
    let pages = 0;
    let bytes = 0;
    const read: typeof fetch = async (input, init) => {
      if (++pages > MAX_PAGES) throw this.#refuse(`its listing is longer than ${MAX_PAGES} pages`);
      const { text, headers } = await this.#retry(async () => {
        const { body, headers } = await this.#fetch(input, init);
        return { text: await this.#readText(body, MAX_LISTING_BYTES - bytes), headers };
      });
      bytes += text.length;
      if (!isExpected(parse(text))) {
        throw this.#refuse(`${this.#endpoint} sends an unexpected answer: ${showValue(text)}`);
      }
      return new Response(text, { headers: { Link: headers.get("Link") ?? "" } });
    };
    return {
      hubUrl: this.#endpoint,
      fetch: read,
      ...this.#token !== undefined && { accessToken: this.#token },
    };
  }

  async #readText(body: Response["body"], limit: number): Promise<string> {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    try {
      for await (const chunk of body ?? []) {
        length += chunk.length;
        if (length > limit) throw this.#refuse(`its listing is longer than ${MAX_LISTING_BYTES} bytes`);
        chunks.push(chunk);
      }
    } catch (cause) {
      throw cause instanceof HubError ? cause : this.#unreachable(cause);
    }
    return await new Blob(chunks).text();
  }

  async #retry<T>(action: () => Promise<T>): Promise<T> {
    for (let failures = 1;; failures++) {
      try {
        return await action();
      } catch (error) {
        if (!(error instanceof HubError && error.transient) || failures === ATTEMPTS) throw error;
        await this.wait(error, failures);
      }
    }
  }

  /** Waits before the next attempt, after `failures` failures in a row. */
  async wait(error: HubError, failures: number): Promise<void> {
    await this.#wait(retryDelay(error, failures), this.#signal);
  }

  /**
   * Fetches with the token, but only from the endpoint's own
   * origin. On a redirect to another origin fetch itself drops it.
   */
  async #fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init.headers);
    if (url.origin !== new URL(this.#endpoint).origin) headers.delete("Authorization");
    let response: Response;
    try {
      response = await this.#request(url, { ...init, headers, signal: this.#signal });
    } catch (cause) {
      throw this.#unreachable(cause);
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw this.#refusal(response);
  }

  #unreachable(cause: unknown): HubError {
    if (this.#signal.aborted) throw this.#signal.reason;
    const { message } =
      (cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause) as Error;
    return new HubError(`Cannot reach ${this.#endpoint}: ${message}`, { cause, transient: true });
  }

  #refuse(reason: string, options: HubErrorOptions = {}): HubError {
    return new HubError(`Cannot pull ${this.#name} as ${reason}`, options);
  }

  #refusal({ status, url, headers }: Response): HubError {
    const refuse = (reason: string) => this.#refuse(reason, { status });
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
    return this.#refuse(`${new URL(url || this.#endpoint).host} answers with status ${status}`, {
      status,
      transient: status === 408 || status === 429 || status >= 500,
      retryAfterMs: readRetryAfter(headers.get("Retry-After"), this.#now()),
    });
  }
}

function isEncoded({ headers }: Response): boolean {
  return (headers.get("Content-Encoding") ?? "identity").trim().toLowerCase() !== "identity";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Escapes characters of a file name that have a meaning in a URL. */
function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
