// A TCP proxy that can fall silent, or reset what passes: a network in which the other
// side is there, and is not.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface TcpProxy extends AsyncDisposable {
  port: number;
  /** Connections that clients hold open. */
  readonly open: number;
  pass(): void;
  /**
   * Connections are accepted, and hear nothing. Those of this time, and those there were, stay so for good,
   * as behind a firewall that has forgotten them.
   */
  silence(): void;
  /** Connections are reset as soon as something is sent. */
  reset(): void;
}

export async function startTcpProxy(upstreamPort: number): Promise<TcpProxy> {
  let mode: "pass" | "silence" | "reset" = "pass";
  const links = new Set<{ client: Socket; upstream: Socket; silent: boolean }>();
  const server = createServer((client) => {
    const upstream = connect(upstreamPort, "127.0.0.1");
    const link = { client, upstream, silent: mode === "silence" };
    links.add(link);
    const end = () => {
      links.delete(link);
      client.destroy();
      upstream.destroy();
    };
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      from.on("data", (chunk) => {
        if (mode === "reset") {
          client.resetAndDestroy();
          end();
        } else if (!link.silent) to.write(chunk);
      });
      from.on("error", () => {});
      from.on("close", end);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get open() {
      return links.size;
    },
    pass: () => void (mode = "pass"),
    silence() {
      mode = "silence";
      for (const link of links) link.silent = true;
    },
    reset: () => void (mode = "reset"),
    async [Symbol.asyncDispose]() {
      for (const { client, upstream } of links) {
        client.destroy();
        upstream.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
