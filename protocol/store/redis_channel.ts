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
  /** Between attempts to come back. @default 1000 */
  retryMs?: number;
  /**
   * A connection that says nothing for so long, not even a comment, is taken for broken. A server that sends
   * none has a quiet channel asked for anew, which loses nothing.
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

  /** Leaves a connection of which it is not known whether the other side still has it, for a new one. */
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
      // One that was left comes back at once.
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
