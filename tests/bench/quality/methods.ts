// The compared methods. Every option is written out, so that a change of defaults changes no measurement.
import type { SamplerOptions } from "../../../sampler/mod.ts";

export interface Method {
  /** As tables and records name it. */
  name: string;
  steps: number;
  /** Full passes; undefined where the run itself decides. */
  passes?: number;
  sampler: Partial<SamplerOptions>;
}

export const STEPS = 50;

const PUBLISHED = { method: "spectrum", m: 4, lam: 0.1, windowSize: 2, warmupSteps: 5 } as const;
const TAYLORSEER = { method: "taylorseer", flexWindow: 0, warmupSteps: 3 } as const;

export const NONE: Method = { name: "none", steps: STEPS, passes: STEPS, sampler: { method: "none" } };

/** Methods whose pictures are recognised name by name. */
export const RECOGNITION_METHODS: readonly Method[] = [
  NONE,
  {
    name: "spectrum, 14 passes",
    steps: STEPS,
    passes: 14,
    sampler: { ...PUBLISHED, w: 0.5, flexWindow: 0.75 },
  },
  {
    name: "spectrum, 10 passes",
    steps: STEPS,
    passes: 10,
    sampler: { ...PUBLISHED, w: 0.5, flexWindow: 3 },
  },
  {
    name: "taylorseer order 1, 14 passes",
    steps: STEPS,
    passes: 14,
    sampler: { ...TAYLORSEER, order: 1, windowSize: 4 },
  },
  {
    name: "reuse, 14 passes",
    steps: STEPS,
    passes: 14,
    sampler: { ...TAYLORSEER, method: "reuse", windowSize: 4 },
  },
  // The plans that the checkpoint stores and that docs/quality.md shows for TaylorSeer.
  {
    name: "spectrum planned, 10 passes",
    steps: STEPS,
    passes: 10,
    sampler: { method: "spectrum", w: 0.5, m: 4, lam: 0.1, fullSteps: [0, 3, 8, 15, 22, 30, 36, 41, 45, 48] },
  },
  {
    name: "taylorseer order 2 planned, 14 passes",
    steps: STEPS,
    passes: 14,
    sampler: {
      method: "taylorseer",
      order: 2,
      fullSteps: [0, 2, 5, 8, 12, 16, 21, 26, 32, 36, 40, 44, 47, 49],
    },
  },
  { name: "14 steps", steps: 14, passes: 14, sampler: { method: "none" } },
  { name: "10 steps", steps: 10, passes: 10, sampler: { method: "none" } },
];
