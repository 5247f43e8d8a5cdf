// Commands and the worker keep optimized graphs in the checkout,
// so that deleting the checkout leaves nothing behind.
import { join } from "node:path";
import { PROJECT_FOLDER } from "../../protocol/process/project_folder.ts";

/** In the program's folder, wherever the user is. */
export const GRAPH_CACHE_FOLDER: string = join(PROJECT_FOLDER, ".cache", "graphs");
