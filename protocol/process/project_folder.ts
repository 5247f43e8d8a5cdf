// The folder of this program: tasks run in it, and the embedded checkpoints and caches lie in it.
import { fileURLToPath } from "node:url";

/** Absolute path, ending in a separator. */
export const PROJECT_FOLDER: string = fileURLToPath(new URL("../../", import.meta.url));
