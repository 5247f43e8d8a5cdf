// Where commands and the worker keep optimized graphs: in the checkout, so that deleting it leaves nothing behind.

/** Relative to the working folder, which tasks run in. */
export const GRAPH_CACHE_FOLDER = ".cache/graphs";
