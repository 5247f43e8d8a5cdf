// The neighbours of a step plan.

/** Full steps, ascending from 0. */
export type Plan = readonly number[];

/** Returns the plans that move one full pass, or two neighbours, or all later ones, by `stride` steps. */
export function movesOf(plan: Plan, { steps, stride }: { steps: number; stride: number }): Plan[] {
  const moved = (by: number, isMoved: (i: number) => boolean) =>
    plan.map((step, i) => i > 0 && isMoved(i) ? step + by : step);
  const moves = [...plan.keys()].slice(1).flatMap((i) =>
    [-stride, stride].flatMap((by) => [
      moved(by, (j) => j === i),
      moved(by, (j) => j === i || j === i + 1),
      moved(by, (j) => j >= i),
    ])
  );
  return distinct(
    moves.filter((moved) =>
      moved.every((step, i) => step < steps && (i === 0 ? step === 0 : step > moved[i - 1]!))
    ),
  );
}

export function distinct(plans: readonly Plan[]): Plan[] {
  return [...new Map(plans.map((plan) => [plan.join(), plan])).values()];
}
