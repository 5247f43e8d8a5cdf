/**
 * Waits for all promises. Rejects like Promise.all(), but only after each has settled, so that the caller can
 * free what they use.
 */
export async function allSettled<T extends readonly unknown[] | []>(
  promises: T,
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}
