// Messages of one Redis channel as server-sent events: Upstash's POST /subscribe/{channel}, or the adapter's in deploy/.
// By hand, as the client library's subscriber does not tell when its connection has ended.
import { EventSourceParserStream } from "eventsource-parser/stream";

export interface RedisChannelOptions {
  url: string;
  token: string;
  channel: string;
  onMessage: (message: string) => void;
  /** Told whenever messages begin or cease to arrive. @default nobody is told */
  onState?: (live: boolean) => void;
  /** Between attempts to come back. @default 1000 */
  retryMs?: number;
}

/** Listens until disposed of, and comes back whenever the connection breaks. What is published in between is lost. */
export class RedisChannel implements Disposable {
  readonly #options: RedisChannelOptions;
  readonly #stop = new AbortController();
  #live = false;

  constructor(options: RedisChannelOptions) {
    this.#options = options;
    this.#run();
  }

  get live(): boolean {
    return this.#live;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#listen(signal).catch(() => {});
      this.#setLive(false);
      if (signal.aborted) return;
      await new Promise<void>((resolve) => {
        Deno.unrefTimer(setTimeout(resolve, this.#options.retryMs ?? 1000));
      });
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { url, token, channel, onMessage } = this.#options;
    const response = await fetch(`${url.replace(/\/$/, "")}/subscribe/${channel}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
      signal,
    });
    if (!response.ok || response.body === null) return void await response.body?.cancel();
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(
      new EventSourceParserStream(),
    );
    for await (const { data } of events) {
      // "subscribe,CHANNEL,1", then "message,CHANNEL,TEXT".
      const [kind, , ...rest] = data.split(",");
      if (kind === "subscribe") this.#setLive(true);
      else if (kind === "message") onMessage(rest.join(","));
    }
  }

  #setLive(live: boolean): void {
    if (live === this.#live) return;
    this.#live = live;
    this.#options.onState?.(live);
  }
}
