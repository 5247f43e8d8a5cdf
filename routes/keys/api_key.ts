// API keys as clients hold them: se_ID_SECRET. The id finds the record, the secret proves the holder.
import { createHash } from "node:crypto";
import type { KeyRecord } from "./key_store.ts";

export interface ApiKey {
  /** 12 hexadecimal digits. */
  id: string;
  /** 64 hexadecimal digits: 256 random bits. */
  secret: string;
}

const KEY = /^se_([0-9a-f]{12})_([0-9a-f]{64})$/;

/** Parses an API key. Returns undefined if `text` is no key of this kind. */
export function parseApiKey(text: string): ApiKey | undefined {
  const [, id, secret] = KEY.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export function formatApiKey({ id, secret }: ApiKey): string {
  return `se_${id}_${secret}`;
}

/** Draws a new key. Returns it with the record that is stored. */
export async function drawApiKey(
  fields: Omit<KeyRecord, "id" | "secret_sha256" | "revoked_at">,
): Promise<{ key: string; record: KeyRecord }> {
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)).toHex();
  const id = random(6);
  const secret = random(32);
  const secret_sha256 = (await sha256(secret)).toHex();
  return { key: formatApiKey({ id, secret }), record: { id, secret_sha256, ...fields, revoked_at: null } };
}

/**
 * Returns whether `secret` is the one of `record`. The time that this takes does not depend on how much of it
 * is right.
 */
export async function holdsSecret(record: KeyRecord, secret: string): Promise<boolean> {
  return isEqualBytes(await sha256(secret), Uint8Array.fromHex(record.secret_sha256));
}

/**
 * Returns the SHA-256 of a text. WebCrypto would take longer: for a key its way to another thread and back
 * costs more than the hash.
 */
export function sha256(text: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(text).digest());
}

/** Runs to the end in any case. */
export function isEqualBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}
