// Chooses the steps that show a preview. They are spread evenly
// over the run's time, nearly all of which is full passes.
import type { StepKind } from "../../sampler/mod.ts";

/** Cost of a forecast relative to a full pass. The order of magnitude is enough. */
const FORECAST_COST = 0.05;

/**
 * Returns at most `count` step indices. The last step is never one of them, as
 * the picture itself follows it. With 14 full passes in 50 steps, the first of
 * three previews comes at step 3, after a quarter of the passes.
 */
export function previewSteps(count: number, plan: readonly StepKind[]): number[] {
  const costs = plan.map((kind) => kind === "full" ? 1 : FORECAST_COST);
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const indices = new Set<number>();
  let spent = 0;
  for (const [index, cost] of costs.slice(0, -1).entries()) {
    spent += cost;
    // Half a pass of tolerance picks the step that ends nearest to the share.
    if (indices.size < count && spent + 0.5 >= (total * (indices.size + 1)) / (count + 1)) indices.add(index);
  }
  return [...indices];
}
