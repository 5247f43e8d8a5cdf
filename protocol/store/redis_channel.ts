// Messages of one Redis channel as server-sent events: Upstash's POST /subscribe/{channel}, or the
// adapter's in deploy/. We subscribe ourselves, because the client library's subscriber does not report
// that its connection has ended.
import { EventSourceParserStream } from "eventsource-parser/stream";
import { STORE_DEADLINE_MS } from "./redis_client.ts";
import { SilenceWatch } from "../http/silence_watch.ts";

export interface RedisChannelOptions {
  url: string;
  token: string;
  channel: string;
  onMessage: (message: string) => void;
  /** Milliseconds between attempts to connect again. @default 1000 */
  retryMs?: number;
  /**
   * Milliseconds without even a comment after which a connection counts as broken. If the server sends no
   * comments, a quiet channel is then connected again, which loses nothing.
   * @default 45000
   */
  idleMs?: number;
}

/** Listens until disposed, and reconnects whenever the connection breaks. Messages in between are lost. */
export class RedisChannel implements Disposable {
  readonly #options: RedisChannelOptions;
  readonly #stop = new AbortController();
  #connection = new AbortController();
  #live = false;

  constructor(options: RedisChannelOptions) {
    this.#options = options;
    this.#run();
  }

  /** Whether messages arrive. */
  get live(): boolean {
    return this.#live;
  }

  /** Replaces the connection, as the other side may have lost it. */
  renew(): void {
    this.#connection.abort();
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const connection = this.#connection = new AbortController();
      await this.#listen(AbortSignal.any([signal, connection.signal])).catch(() => {});
      this.#live = false;
      if (signal.aborted) return;
      // A connection that was replaced comes back at once.
      if (connection.signal.aborted) continue;
      await new Promise<void>((resolve) => {
        Deno.unrefTimer(setTimeout(resolve, this.#options.retryMs ?? 1000));
        connection.signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { url, token, channel, onMessage, idleMs = 45_000 } = this.#options;
    using watch = new SilenceWatch({ firstMs: STORE_DEADLINE_MS, idleMs, signal });
    const response = await fetch(`${url.replace(/\/$/, "")}/subscribe/${channel}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
      signal: watch.signal,
    });
    if (!response.ok || response.body === null) return void await response.body?.cancel();
    const events = response.body.pipeThrough(watch.listen<Uint8Array<ArrayBuffer>>())
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    for await (const { data } of events) {
      // "subscribe,CHANNEL,1", then "message,CHANNEL,TEXT".
      const [kind, , ...rest] = data.split(",");
      if (kind === "subscribe") this.#live = true;
      else if (kind === "message") onMessage(rest.join(","));
    }
  }
}
