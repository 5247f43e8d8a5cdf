// From what the user calls a model to its folder: a directory, or ORG/NAME in the Hugging Face cache.
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { CheckpointError } from "../graph/weights/checkpoint_error.ts";

/**
 * Finds the folder that holds `model`'s model_index.json.
 * The cache is $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub, as huggingface_hub lays it out.
 * @throws {CheckpointError} naming the places that were looked at.
 */
export function findCheckpoint(model: string): string {
  const folder = resolve(model);
  if (isFile(join(folder, "model_index.json"))) return folder;
  const snapshot = /^[\w.-]+\/[\w.-]+$/.test(model) ? findSnapshot(model) : undefined;
  if (snapshot !== undefined) return snapshot;
  throw new CheckpointError(
    `Cannot find model '${model}' as neither ${
      join(folder, "model_index.json")
    } nor a snapshot in ${cacheFolder()} exists`,
  );
}

function findSnapshot(model: string): string | undefined {
  const repository = join(cacheFolder(), `models--${model.replace("/", "--")}`);
  const reference = join(repository, "refs", "main");
  if (!isFile(reference)) return undefined;
  const snapshot = join(repository, "snapshots", Deno.readTextFileSync(reference).trim());
  return isFile(join(snapshot, "model_index.json")) ? snapshot : undefined;
}

function cacheFolder(): string {
  const home = Deno.env.get("HF_HOME") ?? join(homedir(), ".cache", "huggingface");
  return Deno.env.get("HF_HUB_CACHE") ?? join(home, "hub");
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
