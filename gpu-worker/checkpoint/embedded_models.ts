// The checkpoints that this repository brings.
import { join } from "node:path";
import { PROJECT_FOLDER } from "../../protocol/process/project_folder.ts";

/** The first one is the model of a command that names none. */
export const EMBEDDED_MODELS = ["models/emoji", "models/shapes"] as const;

/**
 * Returns the folder of an embedded checkpoint, which has the same name in every
 * working folder, or undefined.
 */
export function embeddedFolder(model: string): string | undefined {
  return EMBEDDED_MODELS.some((name) => name === model) ? join(PROJECT_FOLDER, model) : undefined;
}
