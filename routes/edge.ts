// The edge, built from its environment: what `deno serve` and Deno Deploy serve, and main.ts as well.
import { bypassProxy } from "../protocol/process/bypass_proxy.ts";
import { type Log, structuredLog } from "../protocol/process/structured_log.ts";
import { bufferedLines } from "../protocol/process/buffered_lines.ts";
import { checkEviction } from "../protocol/store/check_eviction.ts";
import { RedisLink } from "../protocol/store/redis_link.ts";
import { apiPath } from "./middleware/api_path.ts";
import { createApp } from "./app.ts";
import { type EdgeConfig, readEdgeConfig } from "./edge_config.ts";
import { edgeOptions } from "./edge_options.ts";

export const log: Log = structuredLog({ process: "edge", write: bufferedLines() });
export const config: EdgeConfig = readEdgeConfig((name) => Deno.env.get(name));

/** Aborted by the process that serves this once it is told to stop. */
export const stopping = new AbortController();

bypassProxy({ urls: [...config.workerUrls, ...config.batchesUrl === undefined ? [] : [config.batchesUrl]] });
const app = createApp({ ...edgeOptions(config, log), stopping: stopping.signal });

if (config.redis) checkEviction(new RedisLink(config.redis), log);

log("info", "configured", {
  workers: config.workerUrls,
  results: config.redis ? "redis" : "memory",
  access: [
    ...config.keys.length > 0 ? [`${config.keys.length} API keys`] : [],
    ...config.redis ? ["keys of the store"] : [],
    ...config.keys.length === 0 ? ["loopback clients as long as there are no keys"] : [],
  ].join(", "),
});
if (config.keys.length === 0) {
  log("warn", "as long as there are no API keys, this server must not stand behind a proxy or a tunnel", {
    why: "a proxy on this machine makes everybody a local program; not every proxy can be told apart",
    instead: "set SPECTRUM_API_KEYS, or make keys with 'deno task keys create'",
  });
}

/**
 * HTTP/1.0 knows requests without a Host, for which Deno makes up "localhost": no call of the API is to pass
 * as local by that. Health checks may come without one.
 */
function hasHost(request: Request): boolean {
  const { headers, url } = request;
  return headers.has("host") || new URL(url).hostname !== "localhost" ||
    !/^\/(v1|sdapi)\//.test(apiPath(request));
}

export default {
  fetch: (request, info) => hasHost(request) ? app.fetch(request, info) : new Response(null, { status: 400 }),
} satisfies Deno.ServeDefaultExport;
