// Finds a model's folder by its name: a directory, or ORG/NAME in the Hugging Face cache.
import { join, resolve } from "node:path";
import { CheckpointError } from "./checkpoint_error.ts";
import { EMBEDDED_MODELS, embeddedFolder } from "./embedded_models.ts";
import { hubCacheFolder, parseHubName, repositoryFolder } from "./hub_cache.ts";
import { isFile } from "./is_file.ts";

const INDEX = "model_index.json";

/**
 * Finds the folder that holds `model`'s model_index.json: `model` itself, or the snapshot of ORG/NAME or
 * ORG/NAME@REVISION that `deno task pull` or huggingface_hub has stored.
 * @throws {CheckpointError} naming the places that were searched.
 */
export function findCheckpoint(model: string): string {
  const folder = resolve(model);
  if (isFile(join(folder, INDEX))) return folder;
  const embedded = embeddedFolder(model);
  if (embedded !== undefined) return embedded;
  const snapshot = findSnapshot(model, INDEX);
  if (snapshot !== undefined) return snapshot;
  throw new CheckpointError(
    `Cannot find model '${model}' as neither a file of that name, ${
      join(folder, INDEX)
    } nor a snapshot in ${hubCacheFolder()} exists. ` +
      (parseHubName(model) === undefined
        ? ""
        : `'deno task pull ${model}' downloads it, if the hub has it. `) +
      `${EMBEDDED_MODELS.join(" and ")} are always there.`,
  );
}

/** Finds a snapshot that has `file`. A revision is a branch or tag in refs/, or a commit. */
export function findSnapshot(model: string, file: string): string | undefined {
  const { repository, revision = "main" } = parseHubName(model) ?? {};
  if (repository === undefined) return undefined;
  const folder = join(hubCacheFolder(), repositoryFolder(repository));
  const reference = join(folder, "refs", revision);
  const commit = isFile(reference) ? Deno.readTextFileSync(reference).trim() : revision;
  const snapshot = join(folder, "snapshots", commit);
  return isFile(join(snapshot, file)) ? snapshot : undefined;
}
