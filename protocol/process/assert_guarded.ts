// Checks that a worker without a secret listens on this machine only, as anybody who reaches it can use it.
import { UsageError } from "./usage_error.ts";

/**
 * Checks that an address that others can reach has a secret.
 * @throws {UsageError} if `host` is more than a loopback address and there is no secret to tell edges by.
 */
export function assertGuarded(host: string, secret: string | undefined): void {
  const isLoopback = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
  if (isLoopback || secret !== undefined) return;
  throw new UsageError(
    `Cannot listen on ${host} as 'SPECTRUM_WORKER_SECRET' is not set: give worker and edges the same one ` +
      "('openssl rand -hex 32' makes one), or listen on 127.0.0.1",
  );
}
