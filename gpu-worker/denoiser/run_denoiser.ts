// The denoiser of one run.
import type { Denoiser } from "../../sampler/mod.ts";

/** @param slots of the history @param timesteps the solver's, by step */
export type MakeDenoiser = (slots: number, timesteps: Float64Array) => RunDenoiser;

/** Of one run. */
export interface RunDenoiser extends Denoiser, Disposable {
  /** Says that the run has come to its end: when disposed of, what later runs can use may stay. After any other nothing does. */
  keep?(): void;
}
