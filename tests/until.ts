// Waits for what no event announces, such as another process's state. A wait that fails says so
// instead of hanging the suite.

export interface UntilOptions {
  /** Milliseconds to wait at most. @default 60000 */
  within?: number;
  /** Milliseconds between two looks. @default 5 */
  every?: number;
}

/**
 * Looks until `condition` gives something truthy, and returns it.
 * @throws what `condition` throws; {Error} after `within`, even while `condition` itself waits
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { within = 60_000, every = 5 }: UntilOptions = {},
): Promise<Exclude<Awaited<T>, false | 0 | "" | null | undefined>> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  late.catch(() => {});
  const timer = setTimeout(
    () => reject(new Error(`Cannot go on: not true within ${within} ms: ${condition}`)),
    within,
  );
  try {
    for (;;) {
      const value = await Promise.race([condition(), late]);
      if (value) return value as Exclude<Awaited<T>, false | 0 | "" | null | undefined>;
      await Promise.race([new Promise((resolve) => setTimeout(resolve, every)), late]);
    }
  } finally {
    clearTimeout(timer);
  }
}
