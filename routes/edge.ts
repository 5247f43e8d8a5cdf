// The edge, built from its environment: what `deno serve` and Deno Deploy serve, and main.ts as well.
import { bypassProxy } from "../protocol/process/bypass_proxy.ts";
import { type Log, structuredLog } from "../protocol/process/structured_log.ts";
import { bufferedLines } from "../protocol/process/buffered_lines.ts";
import { createApp } from "./app.ts";
import { type EdgeConfig, readEdgeConfig } from "./edge_config.ts";
import { edgeOptions } from "./edge_options.ts";

export const log: Log = structuredLog({ process: "edge", write: bufferedLines() });
export const config: EdgeConfig = readEdgeConfig((name) => Deno.env.get(name));

/** Aborted by the process that serves this once it is told to stop. */
export const stopping = new AbortController();

bypassProxy({ urls: [...config.workerUrls, ...config.batchesUrl === undefined ? [] : [config.batchesUrl]] });
const app = createApp({ ...edgeOptions(config, log), stopping: stopping.signal });

log("info", "configured", {
  workers: config.workerUrls,
  results: config.redis ? "redis" : "memory",
  access: [
    ...config.keys.length > 0 ? [`${config.keys.length} API keys`] : [],
    ...config.redis ? ["keys of the store"] : [],
    ...config.keys.length === 0 ? ["loopback clients as long as there are no keys"] : [],
  ].join(", "),
});

export default {
  fetch: (request, info) => app.fetch(request, info),
} satisfies Deno.ServeDefaultExport;
