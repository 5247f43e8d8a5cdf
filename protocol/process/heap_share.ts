// Bounds of memory that hold in small processes as well.
import { getHeapStatistics } from "node:v8";

/** Returns `bytes`, or an eighth of what V8 may take if that is less, as under --max-old-space-size. */
export function heapShare(bytes: number, limit: number = getHeapStatistics().heap_size_limit): number {
  return Math.min(bytes, Math.floor(limit / 8));
}
