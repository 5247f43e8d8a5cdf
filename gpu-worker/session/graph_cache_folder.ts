// Commands and the worker keep optimized graphs in the checkout,
// so that deleting the checkout leaves nothing behind.

/** Relative to the working folder, in which tasks run. */
export const GRAPH_CACHE_FOLDER = ".cache/graphs";
