// Checks at the start of an edge that a full store does not evict promises, which the
// operator must configure.
import type { Log } from "../process/structured_log.ts";
import type { RedisLink } from "./redis_link.ts";

/**
 * Logs a warning about a policy that evicts promises, or nothing at all. Never rejects: not
 * every store tells its policy.
 */
export async function checkEviction(link: RedisLink, log: Log): Promise<void> {
  const ask = () => link.ask((redis) => redis.eval("return redis.call('INFO', 'memory')", [], []));
  const info = String(await ask().catch(() => ""));
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  const isBounded = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0) > 0;
  if (policy === undefined || !isBounded || policy.startsWith("volatile-")) return;
  const effect = policy === "noeviction"
    ? "once it is full of results, no job can be taken and nothing is counted"
    : "once it is full, jobs, idempotency keys and quotas are lost";
  log("warn", `the store's maxmemory-policy is ${policy}: ${effect}`, {
    instead: "set maxmemory-policy volatile-lru: only what can be made again has an expiry",
  });
}
