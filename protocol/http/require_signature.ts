// Admits calls that an edge has signed, once each: protocol/http/sign_request.ts read from the other side.
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../wire/api_error.ts";
import { readBody, type ReadBodyOptions } from "./read_body.ts";
import {
  hashBody,
  importSecret,
  INSTANCE_HEADER,
  MAX_CLOCK_SKEW_MS,
  OTHER_INSTANCE,
  SIGNATURE_HEADERS,
  type SignedCall,
  signedText,
} from "./sign_request.ts";
import { type Nonces, NonceStore } from "./nonce_store.ts";

export interface RequireSignatureOptions extends ReadBodyOptions {
  /**
   * Names the holder of the nonces: calls must be signed for it. A call that was captured is worth nothing to
   * another worker, nor to this one once it is restarted and has forgotten its nonces. A function's answer is
   * undefined as long as the name is not known.
   * @default calls for any are served
   */
  instance?: string | (() => Promise<string | undefined>) | undefined;
  /** @default a new one */
  nonces?: Nonces;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

/** Paths for orchestrators and Prometheus, which cannot sign. They show counts and model names. */
const OPEN_PATHS = ["/healthz", "/readyz", "/metrics"];

/**
 * Creates a middleware that refuses unsigned calls. They cost one comparison: bodies are read, and nonces
 * noted, for signed calls only.
 */
export function requireSignature(secret: string, options: RequireSignatureOptions = {}): MiddlewareHandler {
  const { instance, now = Date.now, nonces = new NonceStore({ now }) } = options;
  const isNamed = instance !== undefined;
  const nameOf = async () => typeof instance === "function" ? await instance() : instance;
  const key = importSecret(secret);
  return async (c, next) => {
    if (OPEN_PATHS.includes(c.req.path)) {
      await next();
      const name = await nameOf();
      if (name !== undefined) c.header(INSTANCE_HEADER, name);
      return;
    }
    const { call, signature } = readCall(c.req.raw);
    if (!await crypto.subtle.verify("HMAC", await key, signature, signedText(call))) {
      throw refusal("The signature of this call is wrong", "invalid_signature");
    }
    if (isNamed && (call.instance === undefined || call.instance !== await nameOf())) {
      throw refusal(
        "This call was signed for another process, or for an earlier start of this one",
        OTHER_INSTANCE,
      );
    }
    await checkFresh(call, { now, nonces });

    if (c.req.raw.body === null) checkBody(call, await hashBody(new Uint8Array()));
    else {
      const body = await readBody(c.req.raw, options);
      checkBody(call, await hashBody(body));
      c.req.raw = new Request(c.req.raw, { body });
    }
    await next();
  };
}

/** @throws {ApiError} 401 */
function readCall(
  { method, url, headers }: Request,
): { call: SignedCall; signature: Uint8Array<ArrayBuffer> } {
  const { pathname, search } = new URL(url);
  const timestamp = headers.get(SIGNATURE_HEADERS.timestamp) ?? "";
  const nonce = headers.get(SIGNATURE_HEADERS.nonce) ?? "";
  const bodyHash = headers.get(SIGNATURE_HEADERS.bodyHash) ?? "";
  const instance = headers.get(INSTANCE_HEADER) ?? undefined;
  const signature = headers.get(SIGNATURE_HEADERS.signature) ?? "";
  const isSigned = /^\d{1,15}$/.test(timestamp) && /^[\w-]{16,64}$/.test(nonce) &&
    [bodyHash, signature].every((digest) => /^[\da-f]{64}$/.test(digest));
  if (!isSigned) throw refusal("This worker serves signed calls only", "missing_signature");
  return {
    call: { method, target: pathname + search, timestamp, nonce, bodyHash, instance },
    signature: Uint8Array.fromHex(signature),
  };
}

/** @throws {ApiError} 401, or 503 where it cannot be told whether the call is new */
async function checkFresh(
  { timestamp, nonce }: SignedCall,
  { now, nonces }: { now: () => number; nonces: Nonces },
): Promise<void> {
  const signedAt = Number(timestamp);
  if (Math.abs(now() - signedAt) > MAX_CLOCK_SKEW_MS) {
    throw refusal("The signature of this call is older, or newer, than a minute", "stale_signature");
  }
  const seen = await nonces.add(nonce, signedAt + MAX_CLOCK_SKEW_MS);
  if (seen === "replayed") throw refusal("This call has been made before", "replayed_signature");
  if (seen === "full") {
    throw new ApiError(503, "This worker gets more calls than it can tell apart", {
      code: "too_many_calls",
      retryAfter: 2,
    });
  }
}

/** @throws {ApiError} 401 */
function checkBody(call: SignedCall, bodyHash: string): void {
  if (call.bodyHash !== bodyHash) {
    throw refusal("The body of this call is not the one that was signed", "invalid_signature");
  }
}

function refusal(message: string, code: string): ApiError {
  return new ApiError(401, message, { code });
}
