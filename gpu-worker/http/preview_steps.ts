// Which steps of a run show a preview.

/**
 * `count` step indices, evenly spread over `steps` steps and all before the last, which is the picture itself.
 * Fewer where a run has no room for them.
 */
export function previewSteps(count: number, steps: number): number[] {
  const indices = Array.from({ length: count }, (_, i) => Math.round(((i + 1) * steps) / (count + 1)) - 1);
  return [...new Set(indices)].filter((index) => index >= 0 && index < steps - 1);
}
