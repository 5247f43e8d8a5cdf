// Means with what they are worth: the half width of a 95 % interval over prompts.
export interface Mean {
  mean: number;
  /** 1.96 standard errors; 0 for a single value. */
  halfWidth: number;
  count: number;
}

export function meanOf(values: readonly number[]): Mean {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, count - 1);
  return { mean, halfWidth: 1.96 * Math.sqrt(variance / count), count };
}
