// The method as pure mathematics: step plans, forecasters, solvers, noise and the loop. The folder does no
// input or output, uses no Deno API and imports nothing from outside, so it also runs in a browser.

export { allSettled } from "./all_settled.ts";
export { calculateShift, type ShiftLine } from "./solvers/schedule/calculate_shift.ts";
export type {
  BranchProducts,
  Calibration,
  Coordinate,
  MeasuredPlan,
  MeasuredPlans,
} from "./calibration/calibration.ts";
export {
  measuredPsnr,
  type PlannedRun,
  planOfPasses,
  planOfQuality,
  planOfWhole,
} from "./calibration/choose_plan.ts";
export {
  type CalibratedRun,
  coordinateOf,
  coordinatesOf,
  stepCorrelations,
} from "./calibration/step_correlations.ts";
export {
  CalibratedForecaster,
  type CalibratedForecasterOptions,
  type StepCorrelations,
} from "./forecasters/calibrated_forecaster.ts";
export { createForecaster, type CreateForecasterOptions } from "./create_forecaster.ts";
export { createSolver, SCHEDULER_NAMES } from "./solvers/create_solver.ts";
export { type ChosenScheduler, deriveScheduler } from "./solvers/derive_scheduler.ts";
export { denoise, type DenoiseOptions, type DenoiseResult, type ForecastError } from "./denoise.ts";
export type {
  Denoiser,
  ForecastCall,
  ForecastOptions,
  FullCall,
  FullResult,
  PlannedForecasts,
} from "./denoiser.ts";
export { ErrorWindow, type ErrorWindowOptions, MAX_BUDGET_SLOTS } from "./plans/error_window.ts";
export { findPlans, type FindPlansOptions, type FoundPlan, planCost } from "./plans/find_plans.ts";
export type { Forecaster } from "./forecasters/forecaster.ts";
export type { ForecastMove } from "./forecast_moves.ts";
export type { StepEvent } from "./latent_steps.ts";
export { torchLinspace } from "./numerics/torch_linspace.ts";
export { historySlots } from "./plans/history_slots.ts";
export { laterSteps } from "./solvers/later_steps.ts";
export { maskedSolver, type MaskedSolverOptions } from "./solvers/masked_solver.ts";
export { linspace } from "./numerics/linspace.ts";
export { OptionError, type OptionErrorOptions, type SpellOption } from "./numerics/option_error.ts";
export * from "./options/mod.ts";
export {
  decidingOptions,
  flattenSamplerOptions,
  type ResolvedSamplerOptions,
  resolveSamplerOptions,
} from "./resolve_sampler_options.ts";
export type { Solver, SolverOptions } from "./solvers/solver.ts";
export type { SchedulerConfig } from "./solvers/schedule/read_scheduler_config.ts";
export {
  ONE_PHASE,
  type PassWindow,
  phasedForecaster,
  type PhasedOptions,
  phasedWindow,
  type Phases,
} from "./plans/phases.ts";
export { countHistorySlots, type FullPassRule, planSteps, type StepKind } from "./plans/step_plan.ts";
export { randn, TorchGenerator } from "./numerics/torch_noise.ts";
export { showValue } from "./numerics/show_value.ts";
export { type DenoiserCall, type PlannedGap, type PlannedPass, type WalkOptions } from "./walk.ts";

/** Part of every cache key. Raise it whenever a change gives the same request other latents. */
export const SAMPLER_VERSION = "6";
