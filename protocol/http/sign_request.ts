// Signs an edge's call of a worker: HMAC-SHA-256 over all that decides what the call does.
// Header names are the wire's.

/** A call as both sides see it. */
export interface SignedCall {
  method: string;
  /** Path with query, as it stands in the request line. */
  target: string;
  /** Milliseconds since 1970. */
  timestamp: string;
  /** Never used twice. */
  nonce: string;
  /** SHA-256 of the body, hex. Without a body it is that of no bytes. */
  bodyHash: string;
  /** Instance of the process that the call is for. Undefined for any process with the secret. */
  instance?: string | undefined;
}

export interface SignRequestOptions {
  method: string;
  url: URL;
  /** @default none */
  body?: string | undefined;
  /** The process that the call is for, as it names itself. @default any */
  instance?: string | undefined;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

export const SIGNATURE_HEADERS = {
  timestamp: "x-spectrum-timestamp",
  nonce: "x-spectrum-nonce",
  bodyHash: "x-spectrum-body-sha256",
  signature: "x-spectrum-signature",
} as const;

/** Names the process that a call is for; a service that is asked for its health names itself in it. */
export const INSTANCE_HEADER = "x-spectrum-instance";

/** The code of a refusal after which the client asks again which process it calls. */
export const OTHER_INSTANCE = "other_instance";

/** Largest difference in milliseconds between the clocks of edge and worker. */
export const MAX_CLOCK_SKEW_MS = 60_000;

/** Headers that make the call acceptable once, for a minute. A retry is signed anew. */
export async function signRequest(
  secret: string,
  { method, url, body = "", instance, now = Date.now }: SignRequestOptions,
): Promise<Record<string, string>> {
  const call = {
    method,
    target: url.pathname + url.search,
    timestamp: String(now()),
    nonce: crypto.randomUUID(),
    bodyHash: await hashBody(new TextEncoder().encode(body)),
    instance,
  };
  const signature = await crypto.subtle.sign("HMAC", await importSecret(secret), signedText(call));
  return {
    [SIGNATURE_HEADERS.timestamp]: call.timestamp,
    [SIGNATURE_HEADERS.nonce]: call.nonce,
    [SIGNATURE_HEADERS.bodyHash]: call.bodyHash,
    ...instance !== undefined && { [INSTANCE_HEADER]: instance },
    [SIGNATURE_HEADERS.signature]: new Uint8Array(signature).toHex(),
  };
}

/** Returns the signed text. No field can hold a line break in HTTP, so no field can pass for the next. */
export function signedText(call: SignedCall): Uint8Array<ArrayBuffer> {
  const { method, target, timestamp, nonce, bodyHash, instance } = call;
  const lines = ["spectrum-1", method, target, timestamp, nonce, bodyHash];
  return new TextEncoder().encode([...lines, ...instance === undefined ? [] : [instance]].join("\n"));
}

export function importSecret(secret: string): Promise<CryptoKey> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, [
    "sign",
    "verify",
  ]);
}

/** Returns the SHA-256 of a body, in hex. */
export async function hashBody(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
