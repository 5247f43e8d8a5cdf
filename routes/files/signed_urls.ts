// Addresses of stored pictures that need no key and expire: an HMAC over name and expiry, in the query.
import { importSecret } from "../../protocol/http/sign_request.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

export interface SignedUrlsOptions {
  /** Secret of all edges that serve each other's addresses. @default random, for this process alone */
  secret?: string | undefined;
  /** Seconds for which an address is valid. @default 3600 */
  lifetimeSeconds?: number;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

/** A file of /files/. */
export interface SignedFile {
  /** KEY.EXTENSION */
  name: string;
  /** Seconds since 1970. */
  expires: number;
}

export class SignedUrls {
  readonly #options: Required<Omit<SignedUrlsOptions, "secret">>;
  readonly #key: Promise<CryptoKey>;

  constructor({ secret, ...options }: SignedUrlsOptions = {}) {
    this.#options = { lifetimeSeconds: 3600, now: Date.now, ...options };
    this.#key = importSecret(secret ?? crypto.getRandomValues(new Uint8Array(32)).toHex());
  }

  /** Returns the path with query that opens a file until it expires. */
  async sign(name: string): Promise<string> {
    const { now, lifetimeSeconds } = this.#options;
    const expires = unixSeconds(now()) + lifetimeSeconds;
    const signature = await crypto.subtle.sign("HMAC", await this.#key, signedText({ name, expires }));
    return `/files/${name}?expires=${expires}&signature=${new Uint8Array(signature).toHex()}`;
  }

  /**
   * Returns the seconds for which `file` stays available: 0 if expired, undefined if `signature` is not ours.
   */
  async secondsLeft(file: SignedFile, signature: string): Promise<number | undefined> {
    if (!/^[0-9a-f]{64}$/.test(signature)) return undefined;
    const bytes = Uint8Array.fromHex(signature);
    if (!await crypto.subtle.verify("HMAC", await this.#key, bytes, signedText(file))) return undefined;
    return Math.max(0, file.expires - unixSeconds(this.#options.now()));
  }
}

/** Returns the signed text. Its first line differs from that of all other signed texts. */
function signedText({ name, expires }: SignedFile): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`spectrum-file-1\n${name}\n${expires}`);
}
