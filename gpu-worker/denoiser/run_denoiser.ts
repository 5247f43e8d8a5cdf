import type { Denoiser } from "../../sampler/mod.ts";

/**
 * Creates the denoiser of one run.
 * @param slots number of features in the history
 * @param timesteps the solver's timesteps, one for each step
 */
export type MakeDenoiser = (slots: number, timesteps: Float64Array) => RunDenoiser;

/** The denoiser of one run. The run disposes of it. */
export type RunDenoiser = Denoiser & Disposable;
