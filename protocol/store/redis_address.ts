// UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN: the store that edges and
// workers share, if there is one.

export interface RedisAddress {
  url: string;
  token: string;
}

/**
 * Reads the store's address and token from the environment. Returns undefined if it names no store.
 * @throws {TypeError} naming the variable that is wrong.
 */
export function readRedisAddress(env: (name: string) => string | undefined): RedisAddress | undefined {
  const url = env("UPSTASH_REDIS_REST_URL");
  const token = env("UPSTASH_REDIS_REST_TOKEN");
  if (!url) return undefined;
  if (!token) throw new TypeError("Cannot start as 'UPSTASH_REDIS_REST_TOKEN' is missing");
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return { url, token };
  throw new TypeError(
    `Cannot start as 'UPSTASH_REDIS_REST_URL' must be an http or https URL: current value is ${url}`,
  );
}
