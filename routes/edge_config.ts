// The edge's configuration: named environment variables, all optional.
import { readRedisAddress, type RedisAddress } from "../protocol/store/redis_address.ts";
import { type ModelAlias, parseModelAliases } from "./runs/model_aliases.ts";
import { readSecret, readWorkerSecret } from "../protocol/process/worker_secret.ts";

export interface EdgeConfig {
  /** SPECTRUM_WORKERS: comma-separated origins of the workers. */
  workerUrls: string[];
  /** SPECTRUM_WORKER_SECRET: signs calls of the worker. */
  workerSecret: string | undefined;
  /** SPECTRUM_API_KEYS: comma-separated. */
  keys: string[];
  /** SPECTRUM_MODEL_ALIASES: comma-separated names that stand for models. */
  aliases: ModelAlias[];
  /** SPECTRUM_CORS_ORIGINS: comma-separated origins whose pages may call the API, or "*". */
  corsOrigins: string[];
  /** SPECTRUM_BATCHES: origin of the batch service, which has the worker's secret. */
  batchesUrl: string | undefined;
  /** SPECTRUM_URL_SECRET: signs addresses of pictures, at all edges alike. */
  urlSecret: string | undefined;
  /** SPECTRUM_PUBLIC_URL: where clients reach the edge, for such addresses. */
  publicUrl: string | undefined;
  /**
   * UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN: results, runs, keys and limits are
   * shared through this store.
   */
  redis: RedisAddress | undefined;
  /** SPECTRUM_WEBHOOK_SECRET signs calls of webhooks at SPECTRUM_WEBHOOK_ORIGINS, comma-separated, or "*". */
  webhooks: { secret: string; origins: string[] } | undefined;
  /** HOST and PORT, for `deno task edge`; `deno serve` has flags of its own. */
  host: string;
  port: number;
}

const DEFAULT_WORKER = "http://127.0.0.1:8001";

/**
 * Reads the configuration through `env`.
 * @throws {TypeError} naming the variable that is wrong.
 */
export function readEdgeConfig(env: (name: string) => string | undefined): EdgeConfig {
  const list = (name: string) => (env(name) ?? "").split(",").map((item) => item.trim()).filter(Boolean);
  const optionalUrl = (name: string) => env(name) ? readUrl(name, env(name)!) : undefined;
  const workers = list("SPECTRUM_WORKERS");
  return {
    workerUrls: [...new Set((workers.length > 0 ? workers : [DEFAULT_WORKER]).map(readWorker))],
    workerSecret: readWorkerSecret(env),
    keys: list("SPECTRUM_API_KEYS"),
    aliases: parseModelAliases(permitted(env, "SPECTRUM_MODEL_ALIASES") ?? ""),
    corsOrigins: list("SPECTRUM_CORS_ORIGINS").map((origin) => readOrigin(origin, "SPECTRUM_CORS_ORIGINS")),
    batchesUrl: optionalUrl("SPECTRUM_BATCHES"),
    urlSecret: readSecret("SPECTRUM_URL_SECRET", env),
    publicUrl: optionalUrl("SPECTRUM_PUBLIC_URL"),
    redis: readRedisAddress(env),
    webhooks: readWebhooks(env("SPECTRUM_WEBHOOK_SECRET"), list("SPECTRUM_WEBHOOK_ORIGINS")),
    host: env("HOST") || "127.0.0.1",
    port: readPort(env("PORT") || "8000"),
  };
}

/**
 * A variable that protects nothing: an edge that was started without the permission to
 * read it goes on without it.
 */
function permitted(env: (name: string) => string | undefined, name: string): string | undefined {
  try {
    return env(name);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) return undefined;
    throw cause;
  }
}

function readWebhooks(secret: string | undefined, origins: string[]): EdgeConfig["webhooks"] {
  if (!secret) return undefined;
  // Standard Webhooks asks for at least 24 bytes.
  if (/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(secret)) {
    return { secret, origins: origins.map((origin) => readOrigin(origin, "SPECTRUM_WEBHOOK_ORIGINS")) };
  }
  throw new TypeError(
    "Cannot start as 'SPECTRUM_WEBHOOK_SECRET' must be whsec_ and at least 24 bytes in base64, " +
      "as 'echo whsec_$(openssl rand -base64 32)' makes them",
  );
}

function readUrl(name: string, value: string): string {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value;
  throw new TypeError(`Cannot start as '${name}' must be an http or https URL: current value is ${value}`);
}

function readWorker(value: string): string {
  return new URL(readUrl("SPECTRUM_WORKERS", value)).origin;
}

function readOrigin(value: string, name: string): string {
  if (value === "*" || URL.canParse(value) && new URL(value).origin === value) return value;
  throw new TypeError(
    `Cannot start as '${name}' must name origins such as https://app.example: current value is ${value}`,
  );
}

function readPort(value: string): number {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new TypeError(`Cannot start as 'PORT' must be a whole number in 0..65535: current value is ${value}`);
}
