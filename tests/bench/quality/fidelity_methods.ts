// The methods that are held against method none at equal numbers of full passes.
import type { SamplerOptions } from "../../../sampler/mod.ts";
import { type Method, STEPS } from "./methods.ts";
import { EVEN_WINDOWS, GROWING_WINDOWS, windowFor } from "../../../gpu-worker/cli/calibrate/window_for.ts";

export const PASSES = [8, 9, 10, 11, 12, 13, 14, 15, 16] as const;
/** Relative forecast errors to aim at. */
export const BUDGETS = [0.02, 0.05, 0.1, 0.2, 0.4] as const;

export interface Family {
  name: string;
  sampler: Partial<SamplerOptions> & Pick<SamplerOptions, "method">;
  /** Whether the window grows from 2, as Spectrum's, instead of staying as equal as it can. */
  grows?: boolean;
  /** Plans by number of passes; otherwise a window that gives so many. */
  planned?: boolean;
}

const SPECTRUM = { method: "spectrum", m: 4, lam: 0.1, warmupSteps: 5 } as const;
const TAYLORSEER = { method: "taylorseer", warmupSteps: 3 } as const;

const SPECTRUM_WINDOWS = [{ windowSize: 2, flexWindow: 0.75 }, { windowSize: 2, flexWindow: 3 }];
/** Windows with a full pass every N steps: 4 and 6 are published, 5 and 9 give 12 and 8 passes. */
const TAYLORSEER_WINDOWS = [4, 6, 5, 9].map((windowSize) => ({ windowSize, flexWindow: 0 }));

export const FAMILIES: readonly Family[] = [
  { name: "reuse", sampler: { ...TAYLORSEER, method: "reuse" } },
  { name: "TaylorSeer, order 1", sampler: { ...TAYLORSEER, order: 1 } },
  { name: "TaylorSeer, order 2", sampler: { ...TAYLORSEER, order: 2 } },
  { name: "Spectrum, w 1", sampler: { ...SPECTRUM, w: 1 }, grows: true },
  { name: "Spectrum, w 0.5", sampler: { ...SPECTRUM, w: 0.5 }, grows: true },
  { name: "Spectrum, w 0.5, T0 free", sampler: { ...SPECTRUM, w: 0.5, constantPenalty: 0 }, grows: true },
  // At 10 passes the penalty is the paper's.
  { name: "Spectrum, w 0.5, lam K", sampler: { ...SPECTRUM, w: 0.5, lam: 0.01, lamGrowth: 1 }, grows: true },
  { name: "Spectrum, w 0.5, tail 2", sampler: { ...SPECTRUM, w: 0.5, tailSteps: 2 }, grows: true },
  { name: "planned reuse", sampler: { method: "reuse" }, planned: true },
  { name: "planned TaylorSeer, order 1", sampler: { method: "taylorseer", order: 1 }, planned: true },
  { name: "planned TaylorSeer, order 2", sampler: { method: "taylorseer", order: 2 }, planned: true },
  { name: "planned Spectrum, w 0.5", sampler: { ...SPECTRUM, w: 0.5 }, planned: true },
  { name: "calibrated", sampler: { method: "calibrated" }, planned: true },
];

/** Families whose window an error budget sets. */
export const BUDGET_FAMILIES: readonly Family[] = [
  { name: "Spectrum, w 0.5, budget", sampler: { ...SPECTRUM, w: 0.5, windowSize: 2 } },
  { name: "TaylorSeer, order 2, budget", sampler: { ...TAYLORSEER, order: 2, windowSize: 2 } },
];

export type PlansByFamily = Readonly<Record<string, Readonly<Record<number, readonly number[]>>>>;

/** Every method of the comparison but none. @param plans of the planned families */
export function fidelityMethods(plans: PlansByFamily): Method[] {
  return [
    ...PASSES.flatMap((passes) => [
      { name: "fewer steps", steps: passes, passes, sampler: { method: "none" as const } },
      ...FAMILIES.map((family) => ({
        name: family.name,
        steps: STEPS,
        passes,
        sampler: { ...family.sampler, ...schedule(family, passes, plans) },
      })),
    ]),
    ...BUDGETS.flatMap((errorBudget) =>
      BUDGET_FAMILIES.map(({ name, sampler }) => ({
        name: `${name} ${errorBudget}`,
        steps: STEPS,
        sampler: { ...sampler, errorBudget },
      }))
    ),
  ];
}

function schedule(
  { name, sampler, grows = false, planned }: Family,
  passes: number,
  plans: PlansByFamily,
) {
  if (planned) return { fullSteps: plans[name]![passes]! };
  const { warmupSteps = 5, tailSteps = 0 } = sampler;
  return windowFor(passes, {
    steps: STEPS,
    base: { warmupSteps, tailSteps },
    published: grows ? SPECTRUM_WINDOWS : TAYLORSEER_WINDOWS,
    others: grows ? GROWING_WINDOWS : EVEN_WINDOWS,
  });
}
