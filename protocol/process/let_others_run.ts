/**
 * Ends this turn of the event loop, so that a long computation does not keep requests waiting. A timer does,
 * as Deno runs immediates (`setImmediate`) until none is left before it reads from sockets.
 */
export function letOthersRun(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
