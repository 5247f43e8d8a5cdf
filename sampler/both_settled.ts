/**
 * Waits for both. Rejects like Promise.all(), but only after both have settled, so that the caller can free
 * what both use.
 */
export async function bothSettled<A, B>(first: A, second: B): Promise<[Awaited<A>, Awaited<B>]> {
  await Promise.allSettled([first, second]);
  return await Promise.all([first, second]);
}
