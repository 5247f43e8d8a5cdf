// Which steps of a run show a preview: evenly spread over its time, which full passes take nearly all of.
import type { StepKind } from "../../sampler/mod.ts";

/** What a forecast step costs beside a full pass; its order of magnitude is enough. */
const FORECAST_COST = 0.05;

/**
 * At most `count` step indices, all before the last, which is the picture itself. With 14 full passes of 50 steps
 * the first of three previews comes at step 3, after a quarter of the passes.
 */
export function previewSteps(count: number, plan: readonly StepKind[]): number[] {
  const costs = plan.map((kind) => kind === "full" ? 1 : FORECAST_COST);
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const indices = new Set<number>();
  let spent = 0;
  for (const [index, cost] of costs.slice(0, -1).entries()) {
    spent += cost;
    // Half a pass of tolerance: the step that ends nearest to the share.
    if (indices.size < count && spent + 0.5 >= (total * (indices.size + 1)) / (count + 1)) indices.add(index);
  }
  return [...indices];
}
