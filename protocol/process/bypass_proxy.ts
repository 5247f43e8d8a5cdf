// Keeps calls within this machine, and those of our own services, away from the proxy of HTTP_PROXY.

export interface BypassProxyOptions {
  /** Services that this process calls directly, wherever they are: workers. @default this machine alone */
  urls?: readonly string[];
  /** @default Deno.env */
  env?: Pick<typeof Deno.env, "get" | "set">;
}

const NAMES = ["NO_PROXY", "no_proxy"];
const LOOPBACK = ["localhost", "127.0.0.0/8", "::1"];

/**
 * Adds them to NO_PROXY, which Deno reads at the first call: this comes before it. Everything else goes
 * through the proxy as before. A process without the permission for both variables goes on without.
 */
export function bypassProxy({ urls = [], env = Deno.env }: BypassProxyOptions = {}): void {
  if (!NAMES.every(isPermitted)) return;
  const hosts = urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ""));
  const given = NAMES.flatMap((name) => (env.get(name) ?? "").split(","));
  const entries = new Set([...given.map((entry) => entry.trim()).filter(Boolean), ...LOOPBACK, ...hosts]);
  for (const name of NAMES) env.set(name, [...entries].join(","));
}

/** Asked for first, as Deno would otherwise ask the user. */
function isPermitted(variable: string): boolean {
  return Deno.permissions.querySync({ name: "env", variable }).state === "granted";
}
