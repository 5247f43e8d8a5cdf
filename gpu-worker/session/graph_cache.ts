// Graphs as ONNX Runtime has optimized them, kept on disk, so that the next start of the same checkpoint on the same
// machine skips that work. Weights that optimization leaves alone stay in the checkpoint's files here too.
import { createHash } from "node:crypto";
import { cpus } from "node:os";
import { join } from "node:path";
import type { OnnxModel } from "../graph/graph_builder.ts";
import { OrtError, ortVersion, type Runtime, type Session } from "../runtime/mod.ts";

/**
 * Weights of a graph up to this size, in bytes: those that are cast or merged at load lie in the cached file. Reading
 * larger ones takes so long that optimization does not matter.
 */
const MAX_WEIGHT_BYTES = 512 * 2 ** 20;
/** Of all files together; the oldest go first. */
const MAX_CACHE_BYTES = 2 ** 30;
const SUFFIX = ".onnx";
const PART = `${SUFFIX}.part`;

export interface GraphCacheOptions {
  /** Made when the first graph is stored; a folder that cannot be written is no error, and nothing is stored. */
  folder: string;
  runtime: Runtime;
  /** Identifies the weights. */
  modelDigest: string;
}

export class GraphCache {
  readonly #options: GraphCacheOptions;

  constructor(options: GraphCacheOptions) {
    this.#options = options;
  }

  /** Loads `model`, from its cached form if there is one. @throws {OrtError} naming the graph. */
  async load(model: OnnxModel): Promise<Session> {
    const { runtime } = this.#options;
    // What other providers make of a graph has not been tried.
    if (runtime.provider !== "cpu" || model.weightBytes > MAX_WEIGHT_BYTES) {
      return await runtime.createSession(model);
    }
    const path = this.#path(model);
    const bytes = await readOrNothing(path);
    if (bytes === undefined) return await this.#loadAndStore(model, path);
    try {
      return await runtime.createSession({ ...model, bytes }, { graphOptimization: "disabled" });
    } catch (error) {
      if (!(error instanceof OrtError)) throw error;
      // Damaged, say: what made it can make it again.
      await Deno.remove(path).catch(() => {});
      return await this.#loadAndStore(model, path);
    }
  }

  async #loadAndStore(model: OnnxModel, path: string): Promise<Session> {
    const { runtime, folder } = this.#options;
    const part = `${path.slice(0, -SUFFIX.length)}.${crypto.randomUUID().slice(0, 8)}${PART}`;
    try {
      await Deno.mkdir(folder, { recursive: true });
      // Asks for the right that native code would not.
      await Deno.writeFile(part, new Uint8Array(), { createNew: true });
    } catch {
      return await runtime.createSession(model);
    }
    try {
      const session = await runtime.createSession(model, { optimizedModelPath: part });
      await Deno.rename(part, path).catch(() => {});
      // Another process may be discarding the same files: theirs to have gone, not this checkpoint's to fail.
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

  /** Optimization may choose layouts by the processor, so that is part of the name. */
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
    // What a killed process left half written counts, and goes, like the rest.
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
