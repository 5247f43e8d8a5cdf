/** Returns the Euclidean norm of a vector, summed in float64. */
export function vectorLength(values: Float32Array): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}
