// Deno.serve() with an error that says what to do.

/** Starts a server. @throws {Error} of one sentence for an address that cannot be had */
export function listen(
  options: Deno.ServeTcpOptions & { hostname: string; port: number },
  handler: Deno.ServeHandler<Deno.NetAddr>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve(options, handler);
  } catch (cause) {
    const { hostname, port } = options;
    const address = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
    const reason = cause instanceof Deno.errors.AddrInUse
      ? "another program uses this port. Try another, or 0 for a free one."
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw new Error(`Cannot listen on ${address}: ${reason}`, { cause });
  }
}
