// A TCP proxy whose connections can be cut, as a network does that goes away.

/** Disposing of it cuts its connections and ends it. */
export interface CuttableProxy extends Disposable {
  /** Address at which it answers. */
  url: string;
  /** Closes every connection, and refuses others until restored. */
  cut(): void;
  restore(): void;
}

/** Starts a proxy before the service at `target`. */
export function cuttableProxy(target: string): CuttableProxy {
  const { hostname, port } = new URL(target);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  let isCut = false;
  const close = (connection: Deno.Conn) => {
    open.delete(connection);
    try {
      connection.close();
    } catch {
      // A pipe that has come to its end has closed it.
    }
  };
  const serve = async (near: Deno.Conn) => {
    if (isCut) return near.close();
    const far = await Deno.connect({ hostname, port: Number(port) });
    for (const connection of [near, far]) open.add(connection);
    const ends = [near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable)];
    await Promise.allSettled(ends);
    for (const connection of [near, far]) close(connection);
  };
  (async () => {
    for await (const connection of listener) serve(connection).catch(() => {});
  })();
  const cut = () => {
    isCut = true;
    for (const connection of [...open]) close(connection);
  };
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    cut,
    restore() {
      isCut = false;
    },
    [Symbol.dispose]() {
      cut();
      listener.close();
    },
  };
}
