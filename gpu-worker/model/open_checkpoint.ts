// Opens a checkpoint by its name: a folder, ORG/NAME, or a single file.
import { resolve } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { findCheckpoint } from "../checkpoint/find_checkpoint.ts";
import type { PartFiles } from "../checkpoint/part_files.ts";
import { openFolderWithParts, openSingleFile } from "../checkpoint/single_file/open_single_file.ts";
import { ARCHITECTURES } from "./architectures.ts";
import { isFile } from "../checkpoint/is_file.ts";

/**
 * Opens a folder, a single file, or a name of the Hugging Face cache.
 * @param name without LoRAs
 * @throws {CheckpointError} if the checkpoint is missing, damaged or not a model we can run.
 */
export function openCheckpoint(name: string, parts: PartFiles = {}): Checkpoint {
  const options = { architectures: ARCHITECTURES, parts };
  return isFile(name)
    ? openSingleFile(resolve(name), options)
    : openFolderWithParts(findCheckpoint(name), options);
}
