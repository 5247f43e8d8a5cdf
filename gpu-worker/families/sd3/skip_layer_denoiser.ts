// Combines classifier-free and skip-layer guidance. The network with skipped
// blocks has a second, smaller history.
import {
  countHistorySlots,
  type ForecastCall,
  type ForecastOptions,
  type FullCall,
  type FullResult,
  type PlannedForecasts,
  type StepKind,
} from "../../../sampler/mod.ts";
import { combineRows } from "../../denoiser/combine_rows.ts";
import { guideBranches } from "../../denoiser/guide_branches.ts";
import type { RunDenoiser } from "../../denoiser/run_denoiser.ts";
import { guidesStep, type SkipLayerGuidance } from "../../request/skip_layer_guidance.ts";

export interface SkipLayerDenoiserOptions {
  /** Returns the unguided rows (prompt, negative prompt), [2, n]. */
  branches: RunDenoiser;
  /** Returns the prompt's output without the skipped blocks, [n]. */
  skipping: RunDenoiser;
  /** History slots of `skipping`, from {@link countSkippingSlots}. */
  slots: number;
  steps: number;
  guidanceScale: number;
  guidance: SkipLayerGuidance;
}

/**
 * Owns both denoisers. The second network runs only up to the last guided step; later
 * steps cost no more than without it.
 */
export class SkipLayerDenoiser implements RunDenoiser {
  readonly #options: SkipLayerDenoiserOptions;
  /** The guided calls of each gap, always as the same array. */
  readonly #guidedCalls = new Map<readonly ForecastCall[], readonly ForecastCall[]>();

  constructor(options: SkipLayerDenoiserOptions) {
    this.#options = options;
  }

  /** Announces the calls without sums. Guidance is more than a sum, so `forecast` sums after guidance. */
  async prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void> {
    const { branches, skipping } = this.#options;
    await branches.prepare(forecasts.map(({ calls }) => ({ calls })), signal);
    const guided = forecasts.map(({ calls }) => ({ calls: this.#guided(calls) }));
    await skipping.prepare(guided.filter(({ calls }) => calls.length > 0), signal);
  }

  async full(call: FullCall): Promise<FullResult> {
    const { branches, skipping, slots } = this.#options;
    const { output, ...measured } = await branches.full(call);
    // Full passes before the first guided step fill the history for its forecasts.
    const slot = call.slot !== undefined && call.slot < slots ? call.slot : undefined;
    const guides = this.#guides(call);
    if (!guides && slot === undefined) return { ...measured, output: this.#combine(output, undefined) };
    const { check: _, ...unchecked } = call;
    const skipped = await skipping.full({ ...unchecked, slot });
    return { ...measured, output: this.#combine(output, guides ? skipped.output : undefined) };
  }

  async forecast(
    calls: readonly ForecastCall[],
    { sums, ...options }: ForecastOptions = {},
  ): Promise<Float32Array[]> {
    const { branches, skipping } = this.#options;
    const rows = await branches.forecast(calls, options);
    const guided = this.#guided(calls);
    const skipped = guided.length > 0 ? await skipping.forecast(guided, options) : [];
    const outputs = rows.map((output, i) => this.#combine(output, skipped[guided.indexOf(calls[i]!)]));
    return sums?.map((weights) => combineRows(outputs, weights)) ?? outputs;
  }

  [Symbol.dispose](): void {
    this.#options.branches[Symbol.dispose]();
    this.#options.skipping[Symbol.dispose]();
  }

  #guided(calls: readonly ForecastCall[]): readonly ForecastCall[] {
    const known = this.#guidedCalls.get(calls);
    if (known) return known;
    const guided = calls.filter((call) => this.#guides(call));
    this.#guidedCalls.set(calls, guided);
    return guided;
  }

  #guides({ step }: { step: number }): boolean {
    const { guidance, steps } = this.#options;
    return guidesStep(guidance, { step, steps });
  }

  #combine(rows: Float32Array, skipped: Float32Array | undefined): Float32Array {
    const { guidanceScale, guidance } = this.#options;
    const guided = guideBranches(rows, guidanceScale);
    if (skipped === undefined) return guided;
    return guided.map((value, i) => value + (rows[i]! - skipped[i]!) * guidance.scale);
  }
}

/**
 * Returns the number of features that the network with skipped blocks keeps: full passes
 * that a guided forecast follows.
 */
export function countSkippingSlots(plan: readonly StepKind[], guidance: SkipLayerGuidance): number {
  let end = plan.length;
  while (end > 0 && !guidesStep(guidance, { step: end - 1, steps: plan.length })) end--;
  return countHistorySlots(plan.slice(0, end));
}
