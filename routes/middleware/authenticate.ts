// Bearer keys with scopes and limits; without any, this machine's own programs and nobody else.
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { type Environment, LOCAL_TENANT } from "./environment.ts";
import { holdsSecret, isEqualBytes, parseApiKey, sha256 } from "../keys/api_key.ts";
import type { KeyDirectory } from "../keys/key_directory.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import type { KeyRecord, Scope } from "../keys/key_store.ts";
import { checkLocal, type CheckLocalOptions } from "./check_local.ts";

export interface AuthenticateOptions extends Partial<CheckLocalOptions> {
  /** Plain keys of the environment: all scopes, no limits. */
  keys: readonly string[];
  directory: KeyDirectory;
  limits: KeyLimits;
}

/**
 * Creates the middleware that finds a request's key. With keys, in the environment or in the store, a request
 * must carry one of them. Without any, it must come straight from a program or an own page on this machine:
 * checkLocal().
 */
export function authenticate(
  { keys, directory, limits, corsOrigins = [] }: AuthenticateOptions,
): MiddlewareHandler<Environment> {
  const digests = Promise.all(keys.map(sha256));
  return async (c, next) => {
    // Admitted by a ticket.
    if (c.get("tenant") !== undefined) return await next();
    const given = keyOf(c.req.header("authorization") ?? "");
    const isPlain = given !== undefined && await isOneOf(given, await digests);
    const record = given === undefined || isPlain ? undefined : await findRecord(given, directory);
    c.set("tenant", record?.id ?? (isPlain ? await plainTenant(given) : LOCAL_TENANT));
    if (record !== undefined) {
      await limits.takeRequest(record);
      c.set("apiKey", record);
      checkScope(record, /^(GET|HEAD)$/.test(c.req.method) ? "read" : "generate");
    } else if (!isPlain) {
      if (keys.length > 0 || !await directory.isEmpty()) throw refusal(given);
      checkLocal({ request: c.req.raw, address: c.env?.remoteAddr }, { corsOrigins });
    }
    await next();
  };
}

/** Clients of AUTOMATIC1111's API send a name and a password; the key is the password. */
function keyOf(header: string): string | undefined {
  const [, scheme, value] = /^(Bearer|Basic) (\S{1,1024})$/i.exec(header) ?? [];
  if (value === undefined || scheme!.toLowerCase() === "bearer") return value;
  try {
    return /^[^:]*:(\S{1,512})$/.exec(atob(value))?.[1];
  } catch {
    return undefined;
  }
}

/**
 * Creates the middleware of a route that needs more than its method's scope. A request without a key has no
 * limits either.
 */
export function requireScope(scope: Scope): MiddlewareHandler<Environment> {
  return async (c, next) => {
    const record = c.get("apiKey");
    if (record !== undefined) checkScope(record, scope);
    await next();
  };
}

/** Names a plain key without telling it. */
async function plainTenant(key: string): Promise<string> {
  return `plain-${(await sha256(key)).toHex().slice(0, 16)}`;
}

/** Every comparison runs to its end, so that time tells nothing of how much of a key was right. */
async function isOneOf(given: string, digests: readonly Uint8Array[]): Promise<boolean> {
  const digest = await sha256(given);
  return digests.filter((other) => isEqualBytes(other, digest)).length > 0;
}

/**
 * Returns a key's record. Undefined if it is not a key of the store.
 * @throws {ApiError} 401 if it was revoked, 503 if the store is away
 */
async function findRecord(given: string, directory: KeyDirectory): Promise<KeyRecord | undefined> {
  const key = parseApiKey(given);
  const record = key && await directory.find(key.id);
  if (key === undefined || record === undefined || !await holdsSecret(record, key.secret)) return undefined;
  if (record.revoked_at === null) return record;
  throw new ApiError(401, "This API key was revoked", { code: "revoked_api_key" });
}

/** @throws {ApiError} 403 */
function checkScope({ scopes }: KeyRecord, scope: Scope): void {
  if (scopes.includes(scope) || scopes.includes("admin")) return;
  throw new ApiError(403, `This API key lacks the scope '${scope}'`, { code: "insufficient_scope" });
}

function refusal(given: string | undefined): ApiError {
  return given === undefined
    ? new ApiError(401, "You must send an API key as 'Authorization: Bearer KEY'", {
      code: "missing_api_key",
    })
    : new ApiError(401, "This API key is not valid", { code: "invalid_api_key" });
}
