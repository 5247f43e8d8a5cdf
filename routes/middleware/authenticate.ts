// Bearer keys; without any, this machine's own programs and nobody else.
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../../protocol/api_error.ts";
import type { Environment } from "../environment.ts";

/**
 * With `keys`, a request must carry one of them. Without, it must come from a loopback address, straight (a proxy on this
 * machine would make the whole world local) and to a loopback name (a web page whose host name was rebound to
 * 127.0.0.1 names its own).
 */
export function authenticate(keys: readonly string[]): MiddlewareHandler<Environment> {
  const digests = Promise.all(keys.map(sha256));
  return async (c, next) => {
    const header = c.req.header("authorization");
    if (keys.length > 0) {
      await checkKey(header, await digests);
    } else {
      checkLocal(c.env?.remoteAddr, c.req.raw);
    }
    await next();
  };
}

/** @throws {ApiError} 401 */
async function checkKey(header: string | undefined, digests: readonly Uint8Array[]): Promise<void> {
  const key = /^Bearer (\S{1,512})$/i.exec(header ?? "")?.[1];
  if (key === undefined) {
    throw new ApiError(401, "You must send an API key as 'Authorization: Bearer KEY'", {
      code: "missing_api_key",
    });
  }
  const digest = await sha256(key);
  // Every comparison runs to its end, so that time tells nothing of how much of a key was right.
  const known = digests.filter((other) => isEqual(other, digest)).length > 0;
  if (!known) throw new ApiError(401, "This API key is not valid", { code: "invalid_api_key" });
}

/** @throws {ApiError} 403 */
function checkLocal(address: Deno.Addr | undefined, { headers, url }: Request): void {
  const remote = address !== undefined && "hostname" in address ? address.hostname : "";
  const isLocal = /^(127\.|::1$|::ffff:127\.)/.test(remote);
  const isForwarded = headers.has("forwarded") || headers.has("x-forwarded-for");
  const isLocalName = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
  if (isLocal && !isForwarded && isLocalName) return;
  throw new ApiError(
    403,
    "This server has no API keys configured, so it answers programs on its own machine only",
    {
      code: "loopback_only",
    },
  );
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}
