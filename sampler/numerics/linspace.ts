// Evenly spaced numbers with numpy's rounding.

/**
 * Returns `np.linspace(start, stop, count)`: float64 [count], both ends included; `start` alone if count is
 * 1.
 */
export function linspace(start: number, stop: number, count: number): Float64Array {
  const spacing = (stop - start) / (count - 1);
  return Float64Array.from({ length: count }, (_, i) => {
    if (i === 0) return start;
    return i === count - 1 ? stop : i * spacing + start;
  });
}
