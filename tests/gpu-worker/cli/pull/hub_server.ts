// A local server with the Hugging Face hub's routes for one repository, ORG/NAME. Tests can make it fail.
import { createHash } from "node:crypto";
import { join, relative } from "node:path";

export const REPOSITORY = "tiny-org/tiny-schnell";
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
export const TOKEN = "hf_of_the_test";

export interface HubServerOptions {
  /** Folder with the repository's content; goldens are not served. */
  folder: string;
  /** Additional files, as in published repositories: other precisions, other runtimes. */
  extra?: Readonly<Record<string, Uint8Array>>;
  /** Whether TOKEN is required. With "denied", TOKEN has no access to the files. */
  gated?: boolean | "denied";
}

interface StoredFile {
  content: Uint8Array<ArrayBuffer>;
  oid: string;
  lfs: boolean;
}

export class HubServer implements AsyncDisposable {
  readonly url: string;
  /** "GET path" or "GET path from N" for every requested file. */
  readonly requests: string[] = [];
  /** Path of a file -> bytes after which its transfer stalls. */
  readonly stall = new Map<string, number>();
  /** Path of a file -> bytes after which its connection breaks once. */
  readonly breakOnce = new Map<string, number>();
  /** Paths whose content differs from the listing. */
  readonly corrupt = new Set<string>();
  /** Path of a file -> size in the listing. */
  readonly claimed = new Map<string, number>();
  readonly #files = new Map<string, StoredFile>();
  readonly #gated: boolean | "denied";
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor({ folder, extra = {}, gated = false }: HubServerOptions) {
    for (const path of walk(folder)) {
      if (!/goldens\./.test(path)) this.#add(relative(folder, path), Deno.readFileSync(path));
    }
    for (const [path, content] of Object.entries(extra)) this.#add(path, new Uint8Array(content));
    this.#gated = gated;
    this.#server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request) => this.#answer(request),
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  oid(path: string): string {
    return this.#files.get(path)!.oid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  #add(path: string, content: Uint8Array<ArrayBuffer>): void {
    const lfs = path.endsWith(".safetensors");
    const hash = lfs ? createHash("sha256") : createHash("sha1").update(`blob ${content.length}\0`);
    this.#files.set(path, { content, lfs, oid: hash.update(content).digest("hex") });
  }

  #answer(request: Request): Response {
    const { pathname, searchParams } = new URL(request.url);
    const [, route, rest = ""] =
      /^(\/api\/models\/tiny-org\/tiny-schnell\/(?:revision|tree)|\/tiny-org\/tiny-schnell\/resolve)\/(.+)$/
        .exec(pathname) ?? [];
    if (route === undefined) {
      return new Response("", { status: 404, headers: { "X-Error-Code": "RepoNotFound" } });
    }
    const token = request.headers.get("Authorization");
    if (this.#gated !== false && token !== `Bearer ${TOKEN}`) {
      return Response.json({ error: "Access to model is restricted" }, {
        status: 401,
        headers: { "X-Error-Code": "GatedRepo" },
      });
    }
    if (route.endsWith("/resolve")) return this.#resolve(rest, request);
    if (!["main", COMMIT].includes(rest)) {
      return Response.json({ error: "Invalid rev id" }, {
        status: 404,
        headers: { "X-Error-Code": "RevisionNotFound" },
      });
    }
    if (route.endsWith("/revision")) {
      return Response.json({
        _id: "1",
        id: REPOSITORY,
        sha: COMMIT,
        lastModified: "2026-01-01T00:00:00.000Z",
      });
    }
    return this.#tree(searchParams.get("cursor"));
  }

  /** Lists the files on two pages, as the hub splits long listings. */
  #tree(cursor: string | null): Response {
    const entries = [...this.#files].map(([path, { content, oid, lfs }]) => ({
      type: "file",
      path,
      size: this.claimed.get(path) ?? content.length,
      oid: lfs ? "0".repeat(40) : oid,
      ...lfs && { lfs: { oid, size: content.length, pointerSize: 130 } },
    }));
    const half = entries.length >> 1;
    if (cursor !== null) return Response.json(entries.slice(half));
    const next = `${this.url}/api/models/${REPOSITORY}/tree/${COMMIT}?recursive=true&cursor=2`;
    return Response.json(entries.slice(0, half), { headers: { Link: `<${next}>; rel="next"` } });
  }

  #resolve(rest: string, request: Request): Response {
    const path = rest.slice(COMMIT.length + 1);
    const file = this.#files.get(path);
    if (file === undefined || !rest.startsWith(COMMIT)) {
      return new Response("", { status: 404, headers: { "X-Error-Code": "EntryNotFound" } });
    }
    if (this.#gated === "denied") {
      return new Response("", { status: 403, headers: { "X-Error-Code": "GatedRepo" } });
    }
    const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.get("Range") ?? "")?.[1] ?? 0);
    this.requests.push(`${request.method} ${path}${offset > 0 ? ` from ${offset}` : ""}`);
    const { content, oid, lfs } = file;
    const headers = new Headers({
      "Content-Length": String(content.length - offset),
      "X-Repo-Commit": COMMIT,
      "ETag": `"${oid}"`,
      "Accept-Ranges": "bytes",
    });
    if (lfs) headers.set("X-Linked-Etag", `"${oid}"`);
    if (offset > 0) headers.set("Content-Range", `bytes ${offset}-${content.length - 1}/${content.length}`);
    const body = request.method === "HEAD" ? null : this.#body(path, content.slice(offset), offset);
    return new Response(body, { status: offset > 0 ? 206 : 200, headers });
  }

  #body(path: string, content: Uint8Array<ArrayBuffer>, offset: number): ReadableStream<Uint8Array> {
    if (this.corrupt.has(path)) content[content.length - 1]! ^= 1;
    const broken = this.breakOnce.get(path);
    this.breakOnce.delete(path);
    const stalled = this.stall.get(path);
    return new ReadableStream({
      start: (controller) => {
        const end = broken ?? stalled;
        controller.enqueue(end === undefined ? content : content.slice(0, end - offset));
        if (end === undefined) controller.close();
      },
      // Once the first bytes have left.
      pull: (controller) => broken === undefined ? new Promise(() => {}) : controller.close(),
    });
  }
}

function* walk(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* walk(join(folder, name));
    else yield join(folder, name);
  }
}
