// Statistics for the bench's tables.

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * Returns a quantile, interpolated between two values.
 * @param share 0 is the smallest value, 1 the largest
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)]!;
  return below + (sorted[Math.ceil(position)]! - below) * (position % 1);
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
