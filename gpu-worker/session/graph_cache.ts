// A cache on disk of graphs that ONNX Runtime has optimized. The next start of the same checkpoint on the
// same machine skips that work. Weights that optimization does not change stay in the checkpoint's files.
import { createHash } from "node:crypto";
import { cpus } from "node:os";
import { join } from "node:path";
import type { OnnxModel } from "../graph/graph_builder.ts";
import { OrtError, ortVersion, type Runtime, type Session } from "../runtime/mod.ts";

/**
 * Largest size of a graph's weights to cache, in bytes. Weights that are cast or merged at load are stored in
 * the cached file. Reading larger weights takes so long that optimization does not matter.
 */
export const CACHED_BYTES: number = 512 * 2 ** 20;
/** Largest size of all cached files together, in bytes. The oldest are deleted first. */
const MAX_CACHE_BYTES = 2 ** 30;
const SUFFIX = ".onnx";
const PART = `${SUFFIX}.part`;

export interface GraphCacheOptions {
  /**
   * Created when the first graph is stored. If it cannot
   * be written, nothing is stored and no error is thrown.
   */
  folder: string;
  runtime: Runtime;
  /** Digest of the weights. */
  modelDigest: string;
}

export class GraphCache {
  readonly #options: GraphCacheOptions;

  constructor(options: GraphCacheOptions) {
    this.#options = options;
  }

  /** Loads `model`, from the cache if it is there. @throws {OrtError} naming the graph. */
  async load(model: OnnxModel): Promise<Session> {
    const { runtime } = this.#options;
    // Other providers' optimized graphs are untested.
    if (runtime.provider !== "cpu" || model.weightBytes > CACHED_BYTES) {
      return await runtime.createSession(model);
    }
    const path = this.#path(model);
    const bytes = await readOrNothing(path);
    if (bytes === undefined) return await this.#loadAndStore(model, path);
    try {
      return await runtime.createSession({ ...model, bytes }, { graphOptimization: "disabled" });
    } catch (error) {
      if (!(error instanceof OrtError)) throw error;
      // The cached file may be damaged, so build it again.
      await Deno.remove(path).catch(() => {});
      return await this.#loadAndStore(model, path);
    }
  }

  async #loadAndStore(model: OnnxModel, path: string): Promise<Session> {
    const { runtime, folder } = this.#options;
    const part = `${path.slice(0, -SUFFIX.length)}.${crypto.randomUUID().slice(0, 8)}${PART}`;
    try {
      await Deno.mkdir(folder, { recursive: true });
      // Check Deno's write permission, which native code would bypass.
      await Deno.writeFile(part, new Uint8Array(), { createNew: true });
    } catch {
      return await runtime.createSession(model);
    }
    try {
      const session = await runtime.createSession(model, { optimizedModelPath: part });
      await Deno.rename(part, path).catch(() => {});
      // Another process may delete the same files at the same time, which must not fail this load.
      await discardOldest(folder).catch(() => {});
      return session;
    } catch (error) {
      if (!(error instanceof OrtError)) throw error;
      // A full disk must not keep a checkpoint from loading.
      return await runtime.createSession(model);
    } finally {
      await Deno.remove(part).catch(() => {});
    }
  }

  /** The processor is part of the name, as optimization may choose layouts by it. */
  #path({ name, bytes, externalDataFolder }: OnnxModel): string {
    const { folder, modelDigest } = this.#options;
    const hash = createHash("sha256").update(bytes);
    for (const text of [externalDataFolder, modelDigest, ortVersion(), Deno.build.target, processor()]) {
      hash.update(`\0${text}`);
    }
    return join(folder, `${name.replaceAll(/\W+/g, "-")}-${hash.digest("hex").slice(0, 32)}${SUFFIX}`);
  }
}

function processor(): string {
  return cpus()[0]?.model ?? "";
}

async function readOrNothing(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await Deno.readFile(path);
  } catch {
    return undefined;
  }
}

async function discardOldest(folder: string): Promise<void> {
  const files: { path: string; size: number; modified: number }[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    // Unfinished files of killed processes count too, and are deleted like the rest.
    if (!name.endsWith(SUFFIX) && !name.endsWith(PART)) continue;
    const path = join(folder, name);
    const { size, mtime } = await Deno.stat(path);
    files.push({ path, size, modified: mtime?.getTime() ?? 0 });
  }
  files.sort((a, b) => b.modified - a.modified);
  let total = 0;
  for (const { path, size } of files) {
    total += size;
    if (total > MAX_CACHE_BYTES) await Deno.remove(path).catch(() => {});
  }
}
