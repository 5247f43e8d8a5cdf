// The bound of an LRUCache by its number of entries.

/**
 * Bounds an LRUCache to `entries`. The library's own `max` allocates room for all entries at once, which
 * takes 50 ms for 100,000; a size of 1 each allocates nothing ahead.
 */
export function atMost(entries: number): { maxSize: number; sizeCalculation: () => number } {
  return { maxSize: entries, sizeCalculation: () => 1 };
}
