// FLUX with a second-order solver in place of Euler's method, on the same noise levels. No checkpoint names
// it: diffusers' FluxPipeline takes Euler's alone.
import { fluxFamily } from "../../../gpu-worker/families/flux/flux_family.ts";
import type { ModelCalibration } from "../../../gpu-worker/request/model_calibration.ts";
import { createSolver, linspace } from "../../../sampler/mod.ts";

/**
 * Calls `run` while all runs of FLUX use UniPC of order 2. The calibration's grid tells the
 * shift of the noise levels.
 */
export async function withUniPc<T>({ grid, source }: ModelCalibration, run: () => Promise<T>): Promise<T> {
  // The second level of a linear schedule, and what the shift has made of it.
  const level = 1 - 1 / source.steps;
  const shifted = grid[1]!;
  const config = {
    _class_name: "UniPCMultistepScheduler",
    num_train_timesteps: 1000,
    prediction_type: "flow_prediction",
    solver_order: 2,
    use_flow_sigmas: true,
    flow_shift: shifted * (1 - level) / (level * (1 - shifted)),
  };
  const { solver } = fluxFamily;
  fluxFamily.solver = ({ steps }, { noise }) =>
    createSolver(config, { steps, sigmas: [...linspace(1, 1 / steps, steps)], noise });
  try {
    return await run();
  } finally {
    fluxFamily.solver = solver;
  }
}
