// Finds the checkpoints on this machine and their sizes.
import { join } from "node:path";
import { EMBEDDED_MODELS, embeddedFolder } from "../../checkpoint/embedded_models.ts";

export interface LocalModel {
  /** The name that --model takes. */
  name: string;
  source: "embedded" | "cache";
  folder: string;
  /** The class of model_index.json. Undefined for a repository that holds no whole pipeline. */
  pipelineClass: string | undefined;
  /** Size on disk. A file that several revisions share counts once. */
  bytes: number;
}

/** Returns the embedded checkpoints, then those of the cache by name. */
export function listModels(cache: string): LocalModel[] {
  const embedded = EMBEDDED_MODELS.map((name): LocalModel => {
    const folder = embeddedFolder(name)!;
    return {
      name,
      source: "embedded",
      folder,
      pipelineClass: classOf(folder),
      bytes: sizeOf(folder),
    };
  });
  const cached = entriesOf(cache).filter(({ name }) => /^models--.+--/.test(name)).map(
    ({ name }): LocalModel => {
      const folder = join(cache, name);
      const snapshots = entriesOf(join(folder, "snapshots")).map(({ name }) =>
        join(folder, "snapshots", name)
      );
      return {
        name: name.slice("models--".length).replace("--", "/"),
        source: "cache",
        folder,
        pipelineClass: snapshots.map(classOf).find((found) => found !== undefined),
        bytes: sizeOf(folder),
      };
    },
  );
  return [...embedded, ...cached.sort((a, b) => a.name < b.name ? -1 : 1)];
}

function classOf(folder: string): string | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(join(folder, "model_index.json")))._class_name;
  } catch {
    return undefined;
  }
}

/** Snapshots are links to blobs, which are counted where they lie. */
function sizeOf(folder: string): number {
  return entriesOf(folder).reduce((sum, { name, isDirectory, isFile }) => {
    const path = join(folder, name);
    return sum + (isDirectory ? sizeOf(path) : isFile ? Deno.statSync(path).size : 0);
  }, 0);
}

function entriesOf(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch {
    return [];
  }
}
