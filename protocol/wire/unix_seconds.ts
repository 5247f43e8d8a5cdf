/** Returns the whole seconds of a time in milliseconds, as OpenAI's objects give times. */
export function unixSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
