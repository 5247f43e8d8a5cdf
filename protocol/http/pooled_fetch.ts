// fetch() for services of our own. Deno keeps every connection that was ever open at a time for a minute and
// a half: after hundreds of streams that ended at once, hundreds of descriptors here and at the service.

/** Idle connections to one service that are kept for later calls. */
const MOST_IDLE = 16;
const IDLE_MS = 20_000;

let client: Deno.HttpClient | undefined;

/** As the global one; keeps few idle connections where the runtime can be told to. */
export const pooledFetch: typeof fetch = (input, init) => {
  if (typeof Deno.createHttpClient !== "function") return fetch(input, init);
  client ??= Deno.createHttpClient({ poolMaxIdlePerHost: MOST_IDLE, poolIdleTimeout: IDLE_MS });
  return fetch(input, { ...init, client });
};
