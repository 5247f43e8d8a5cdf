// The denoiser of one run.
import type { Denoiser } from "../../sampler/mod.ts";

/** @param slots of the history @param timesteps the solver's, by step */
export type MakeDenoiser = (slots: number, timesteps: Float64Array) => RunDenoiser;

/** Of one run, which disposes of it. */
export type RunDenoiser = Denoiser & Disposable;
