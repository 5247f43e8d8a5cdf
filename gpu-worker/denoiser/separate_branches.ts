// Guidance whose branches have inputs of different lengths. They
// cannot be rows of one call, so each branch runs on its own.
import type {
  ForecastCall,
  ForecastOptions,
  FullCall,
  FullResult,
  PlannedForecasts,
} from "../../sampler/mod.ts";
import { combineRows, joinRows } from "./combine_rows.ts";
import type { RunDenoiser } from "./run_denoiser.ts";

export interface SeparateBranchesOptions {
  /** Slots in each branch's history. */
  slots: number;
  /** Combines the branches' outputs, [branches, n]. */
  guide: (outputs: Float32Array) => Float32Array;
  /** Whether `guide` is linear, so that it may also receive sums over steps. @default true */
  isLinear?: boolean;
}

/** Runs each branch on a denoiser of its own, with its own history. Owns the branches' denoisers. */
export class SeparateBranches implements RunDenoiser {
  readonly #branches: readonly RunDenoiser[];
  readonly #options: SeparateBranchesOptions;

  constructor(branches: readonly RunDenoiser[], options: SeparateBranchesOptions) {
    this.#branches = branches;
    this.#options = options;
  }

  async prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void> {
    const announced = this.#guidesSums ? forecasts : forecasts.map(({ calls }) => ({ calls }));
    for (const branch of this.#branches) await branch.prepare(announced, signal);
  }

  /** Whether branches may sum their outputs over steps before they are combined. */
  get #guidesSums(): boolean {
    return this.#branches.length === 1 || this.#options.isLinear !== false;
  }

  /** Runs a full pass of every branch. The forecast error is the largest of all branches. */
  async full(call: FullCall): Promise<FullResult> {
    const results: FullResult[] = [];
    for (const branch of this.#branches) results.push(await branch.full(call));
    const errors = results.flatMap(({ forecastError }) => forecastError ?? []);
    return {
      output: this.#combine(results.map(({ output }) => output)),
      ...errors.length > 0 && { forecastError: Math.max(...errors) },
    };
  }

  async forecast(calls: readonly ForecastCall[], options: ForecastOptions = {}): Promise<Float32Array[]> {
    const { sums, ...rest } = options;
    const asked = this.#guidesSums ? options : rest;
    const outputs: Float32Array[][] = [];
    for (const branch of this.#branches) outputs.push(await branch.forecast(calls, asked));
    const combined = outputs[0]!.map((_, i) => this.#combine(outputs.map((ofBranch) => ofBranch[i]!)));
    return this.#guidesSums || sums === undefined
      ? combined
      : sums.map((weights) => combineRows(combined, weights));
  }

  /** Returns all features: slot by slot, with the branches of each slot next to each other. */
  async features(): Promise<Float32Array> {
    const histories: Float32Array[] = [];
    for (const branch of this.#branches) histories.push(await branch.features!());
    if (histories.length === 1) return histories[0]!;
    const length = histories[0]!.length / this.#options.slots;
    const all = new Float32Array(histories.length * histories[0]!.length);
    for (const [branch, history] of histories.entries()) {
      for (let slot = 0; slot < this.#options.slots; slot++) {
        const feature = history.subarray(slot * length, (slot + 1) * length);
        all.set(feature, (slot * histories.length + branch) * length);
      }
    }
    return all;
  }

  [Symbol.dispose](): void {
    for (const branch of this.#branches) branch[Symbol.dispose]();
  }

  #combine(outputs: readonly Float32Array[]): Float32Array {
    return outputs.length === 1 ? outputs[0]! : this.#options.guide(joinRows(outputs));
  }
}
