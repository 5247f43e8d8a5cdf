// Which request the present work is for. Calls of workers carry its id, through layers that have no business with it, as
// traces do.
import { AsyncLocalStorage } from "node:async_hooks";

const requests = new AsyncLocalStorage<string>();

/** Runs `work` for the request with this id. */
export function forRequest<T>(requestId: string, work: () => T): T {
  return requests.run(requestId, work);
}

/** Undefined outside of requests. */
export function currentRequestId(): string | undefined {
  return requests.getStore();
}
