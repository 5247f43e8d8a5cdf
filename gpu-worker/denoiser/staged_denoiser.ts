// Networks that take turns in one run, like Wan2.2's two experts. Each has its own history. Only the network
// whose stage it is holds any memory.
import type {
  ForecastCall,
  ForecastOptions,
  FullCall,
  FullResult,
  PlannedForecasts,
} from "../../sampler/mod.ts";
import type { RunDenoiser } from "./run_denoiser.ts";

/** The steps of one network: from `start` to the next stage. */
export interface DenoiserStage {
  start: number;
  /** Allocates the network's history and inputs. */
  open(): RunDenoiser;
}

/**
 * Runs each step on the network of its stage. A stage's denoiser is disposed of
 * before the next one is opened.
 */
export class StagedDenoiser implements RunDenoiser {
  readonly #stages: readonly DenoiserStage[];
  #current: { index: number; denoiser: RunDenoiser };
  /** Forecasts of stages that have not begun. Preparing them earlier would load their network. */
  #announced: readonly PlannedForecasts[] = [];

  /** @param stages ascending from step 0 */
  constructor(stages: readonly DenoiserStage[]) {
    this.#stages = stages;
    this.#current = { index: 0, denoiser: stages[0]!.open() };
  }

  async prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void> {
    this.#announced = forecasts;
    await this.#current.denoiser.prepare(this.#forecastsOf(this.#current.index), signal);
  }

  async full(call: FullCall): Promise<FullResult> {
    return await (await this.#enter(call.step, call.signal)).full(call);
  }

  /** Takes calls of one stage. */
  async forecast(calls: readonly ForecastCall[], options?: ForecastOptions): Promise<Float32Array[]> {
    return await (await this.#enter(calls[0]!.step, options?.signal)).forecast(calls, options);
  }

  [Symbol.dispose](): void {
    this.#current.denoiser[Symbol.dispose]();
  }

  /** Returns the denoiser of a step's stage. */
  async #enter(step: number, signal: AbortSignal | undefined): Promise<RunDenoiser> {
    const index = this.#stageOf(step);
    if (index !== this.#current.index) {
      this.#current.denoiser[Symbol.dispose]();
      this.#current = { index, denoiser: this.#stages[index]!.open() };
      await this.#current.denoiser.prepare(this.#forecastsOf(index), signal);
    }
    return this.#current.denoiser;
  }

  #stageOf(step: number): number {
    return this.#stages.findLastIndex(({ start }) => start <= step);
  }

  #forecastsOf(index: number): PlannedForecasts[] {
    return this.#announced.filter(({ calls }) => this.#stageOf(calls[0]!.step) === index);
  }
}
