// Guidance whose branches have inputs of different lengths, or ends before the run does. Its branches
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
  /**
   * Combines the branches' outputs, [branches, n], prompt first. It may receive sums
   * over steps if it is linear.
   */
  guide: (outputs: Float32Array) => Float32Array;
  /** Whether `guide` is linear in the outputs. @default true */
  isLinear?: boolean;
  /**
   * Number of steps at the beginning that are guided. Later steps run the prompt's branch alone.
   * @default all
   */
  guidedSteps?: number;
}

/**
 * Runs each branch on a denoiser of its own, with its own history. Owns the branches' denoisers. The first
 * branch is the prompt's, which runs at every step.
 */
export class SeparateBranches implements RunDenoiser {
  readonly #branches: readonly RunDenoiser[];
  readonly #options: Required<SeparateBranchesOptions>;
  /** The guided calls of each gap, always as the same array. */
  readonly #guidedCalls = new Map<readonly ForecastCall[], readonly ForecastCall[]>();

  constructor(branches: readonly RunDenoiser[], options: SeparateBranchesOptions) {
    this.#branches = branches;
    this.#options = { isLinear: true, guidedSteps: Infinity, ...options };
  }

  async prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void> {
    const [prompt, ...others] = this.#branches;
    if (forecasts.every(({ calls }) => this.#sumsFirst(calls) && this.#guided(calls) === calls)) {
      for (const branch of this.#branches) await branch.prepare(forecasts, signal);
      return;
    }
    const plain = ({ calls }: PlannedForecasts) => ({ calls });
    await prompt!.prepare(forecasts.map((gap) => this.#sumsFirst(gap.calls) ? gap : plain(gap)), signal);
    const guided = forecasts.map((gap) =>
      this.#sumsFirst(gap.calls) ? gap : { calls: this.#guided(gap.calls) }
    ).filter(({ calls }) => this.#guided(calls).length > 0);
    for (const branch of others) await branch.prepare(guided, signal);
  }

  /** Runs a full pass of every branch of the step. The forecast error is the largest of all branches. */
  async full(call: FullCall): Promise<FullResult> {
    const branches = this.#guides(call) ? this.#branches : this.#branches.slice(0, 1);
    const results: FullResult[] = [];
    for (const branch of branches) results.push(await branch.full(call));
    const errors = results.flatMap(({ forecastError }) => forecastError ?? []);
    return {
      output: this.#combine(results.map(({ output }) => output)),
      ...errors.length > 0 && { forecastError: Math.max(...errors) },
    };
  }

  async forecast(calls: readonly ForecastCall[], options: ForecastOptions = {}): Promise<Float32Array[]> {
    const [prompt, ...others] = this.#branches;
    const guided = this.#guided(calls);
    const sumsFirst = this.#sumsFirst(calls);
    const { sums, ...single } = options;
    const own = sumsFirst ? options : single;
    const outputs = [await prompt!.forecast(calls, own)];
    if (guided.length > 0) {
      for (const branch of others) outputs.push(await branch.forecast(guided, own));
    }
    // Guided calls come first, so the outputs of all branches have the same order.
    const combined = outputs[0]!.map((_, i) =>
      this.#combine(outputs.flatMap((ofBranch) => ofBranch[i] ?? []))
    );
    return sumsFirst ? combined : sums?.map((weights) => combineRows(combined, weights)) ?? combined;
  }

  /** Returns all features: slot by slot, with the branches of each slot next to each other. */
  async features(): Promise<Float32Array> {
    if (Number.isFinite(this.#options.guidedSteps) && this.#branches.length > 1) {
      throw new TypeError("Cannot record features as guidance ends before the last step");
    }
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

  #guides({ step }: { step: number }): boolean {
    return step < this.#options.guidedSteps;
  }

  #guided(calls: readonly ForecastCall[]): readonly ForecastCall[] {
    if (calls.every((call) => this.#guides(call))) return calls;
    const known = this.#guidedCalls.get(calls);
    if (known) return known;
    const guided = calls.filter((call) => this.#guides(call));
    this.#guidedCalls.set(calls, guided);
    return guided;
  }

  /**
   * Returns whether sums over `calls` may be taken before guidance: it is the same
   * linear function of all calls.
   */
  #sumsFirst(calls: readonly ForecastCall[]): boolean {
    const guided = this.#branches.length === 1 ? 0 : this.#guided(calls).length;
    return guided === 0 || (guided === calls.length && this.#options.isLinear);
  }

  #combine(outputs: readonly Float32Array[]): Float32Array {
    return outputs.length === 1 ? outputs[0]! : this.#options.guide(joinRows(outputs));
  }
}
