// Tells a client's server that a job has ended, signed as Standard Webhooks has it
// (https://www.standardwebhooks.com), which OpenAI's clients check with webhooks.unwrap().
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { JobEnd, JobRecord } from "./job_record.ts";
import { isPublicName } from "./public_name.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

export interface WebhooksOptions {
  /** whsec_ and base64, which receivers have too. */
  secret: string;
  /**
   * Origins that may be called, or "*", every public one: they are the operator's to name, as the edge
   * stands within their network.
   */
  origins: readonly string[];
  log: Log;
  /** @default the global one */
  fetch?: typeof fetch;
  /** For an answer. @default 10000 */
  timeoutMs?: number;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

export interface BatchEnd {
  status: "completed" | "failed" | "expired" | "cancelled";
  /** Milliseconds since 1970. */
  at: number;
}

interface WebhookEvent {
  /** Identifies the event, with evt_ before it. */
  name: string;
  /** Milliseconds since 1970. */
  at: number;
  type: string;
  data: Record<string, string>;
}

export class Webhooks {
  readonly #options: Required<WebhooksOptions>;
  readonly #key: Promise<CryptoKey>;

  /** @throws {TypeError} if the secret is none */
  constructor(options: WebhooksOptions) {
    this.#options = { fetch: globalThis.fetch, timeoutMs: 10_000, now: Date.now, ...options };
    const bytes = Uint8Array.fromBase64(options.secret.replace(/^whsec_/, ""));
    this.#key = crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  }

  /** Checks an address. @throws {ApiError} 400 for an address that must not be called */
  check(url: string): void {
    const { origins } = this.#options;
    const { origin, protocol, hostname, username, password } = new URL(url);
    const isPlain = username === "" && password === "";
    if (isPlain && origins.includes(origin)) return;
    if (isPlain && origins.includes("*") && protocol === "https:" && isPublicName(hostname)) return;
    throw new ApiError(400, `'webhook' must be an address that this server may call: ${origin} is not`, {
      param: "webhook",
      code: "webhook_not_allowed",
    });
  }

  /**
   * Calls a job's webhook. Never rejects.
   * @returns whether it was taken, with a status of 2xx. Never rejects.
   */
  tell({ id, kind, webhook }: JobRecord, { status, at }: JobEnd): Promise<boolean> {
    return this.#send(webhook!, { name: id.slice("job_".length), at, ...ending({ id, kind }, status) });
  }

  /** Does as tell() does, with OpenAI's event for a batch. */
  tellBatch({ id, webhook }: { id: string; webhook: string }, { status, at }: BatchEnd): Promise<boolean> {
    return this.#send(webhook, {
      name: id.slice("batch_".length),
      at,
      type: `batch.${status}`,
      data: { id },
    });
  }

  async #send(webhook: string, { name, at, ...content }: WebhookEvent): Promise<boolean> {
    const { fetch, timeoutMs, now, log } = this.#options;
    // The same in every attempt: receivers tell repetitions by it.
    const event = `evt_${name}`;
    const created_at = unixSeconds(at);
    const body = JSON.stringify({ id: event, object: "event", created_at, ...content });
    const timestamp = String(unixSeconds(now()));
    const text = new TextEncoder().encode(`${event}.${timestamp}.${body}`);
    const signature = new Uint8Array(await crypto.subtle.sign("HMAC", await this.#key, text)).toBase64();
    try {
      const response = await fetch(webhook, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "webhook-id": event,
          "webhook-timestamp": timestamp,
          "webhook-signature": `v1,${signature}`,
        },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.body?.cancel();
      if (!response.ok) log("warn", "webhook refused", { event, status: response.status });
      return response.ok;
    } catch (cause) {
      log("warn", "webhook cannot be reached", { event, error: String(cause) });
      return false;
    }
  }
}

/** OpenAI's event for a video, which has no other ends than two; one of our own for other jobs. */
function ending({ id, kind }: Pick<JobRecord, "id" | "kind">, status: JobEnd["status"]) {
  if (kind !== "video") return { type: `job.${status}`, data: { id, kind } };
  const type = status === "completed" ? "video.completed" : "video.failed";
  return { type, data: { id: id.replace(/^job_/, "video_"), kind } };
}

/** Checks the webhook of a request. @throws {ApiError} 400 for a webhook that cannot be called */
export function checkWebhook(webhook: string | undefined, webhooks: Webhooks | undefined): void {
  if (webhook === undefined) return;
  if (webhooks !== undefined) return webhooks.check(webhook);
  throw new ApiError(400, "'webhook' cannot be called: this server has no secret to sign with", {
    param: "webhook",
    code: "webhook_not_allowed",
  });
}
