// Guidance whose branches cannot be rows of one run, as their inputs differ in length: each runs by itself.
import type { Denoiser, ForecastCall, ForecastOptions, FullCall, FullResult } from "../../sampler/mod.ts";

/** Owns the denoisers of its branches, each with a history of its own; `guide` combines their outputs. */
export class SeparateBranches implements Denoiser, Disposable {
  readonly #branches: readonly (Denoiser & Disposable)[];
  readonly #guide: (outputs: Float32Array) => Float32Array;

  /** @param guide gets the outputs one after the other, [branches, n]; linear in them, as it may get sums of steps */
  constructor(
    branches: readonly (Denoiser & Disposable)[],
    guide: (outputs: Float32Array) => Float32Array,
  ) {
    this.#branches = branches;
    this.#guide = guide;
  }

  /** The error is the largest of all branches. */
  async full(call: FullCall): Promise<FullResult> {
    const results: FullResult[] = [];
    for (const branch of this.#branches) results.push(await branch.full(call));
    const errors = results.flatMap(({ forecastError }) => forecastError ?? []);
    return {
      output: this.#combine(results.map(({ output }) => output)),
      ...errors.length > 0 && { forecastError: Math.max(...errors) },
    };
  }

  async forecast(calls: readonly ForecastCall[], options?: ForecastOptions): Promise<Float32Array[]> {
    const outputs: Float32Array[][] = [];
    for (const branch of this.#branches) outputs.push(await branch.forecast(calls, options));
    return outputs[0]!.map((_, i) => this.#combine(outputs.map((ofBranch) => ofBranch[i]!)));
  }

  [Symbol.dispose](): void {
    for (const branch of this.#branches) branch[Symbol.dispose]();
  }

  #combine(outputs: readonly Float32Array[]): Float32Array {
    if (outputs.length === 1) return outputs[0]!;
    const length = outputs[0]!.length;
    const rows = new Float32Array(outputs.length * length);
    for (const [i, output] of outputs.entries()) rows.set(output, i * length);
    return this.#guide(rows);
  }
}
