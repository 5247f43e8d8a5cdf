// Draws with plans on trial and measures how near they come to every step in full.
import { completeRequest } from "../../request/complete_request.ts";
import type { ModelCalibration } from "../../request/model_calibration.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import type { CalibrationBar } from "./calibration_bar.ts";
import { picturePsnr, type Pixels } from "./picture_psnr.ts";
import type { TrialLog } from "./trial_log.ts";

export interface TrialsOptions {
  pipeline: Pipeline;
  /** The request without prompt, steps and method. The seed grows by one with each prompt. */
  given: Omit<PartialRequest, "prompt" | "sampler" | "steps">;
  log: TrialLog;
  bar: CalibrationBar;
  signal: AbortSignal;
}

/** How much a difference between two plans varies from prompt to prompt, in dB, before any was measured. */
const PRIOR_DEVIATION = 3;

/** A set of prompts at one number of steps. */
export interface TrialSet {
  /** Name of the set, for the log. */
  name: string;
  prompts: readonly string[];
  /** Added to the request's seed. */
  seedOffset: number;
  steps: number;
}

export class Trials {
  readonly #options: TrialsOptions;
  readonly #references = new Map<string, Pixels>();
  /** Sigmas of the solver's steps, by number of steps. */
  readonly #sigmas = new Map<number, Float64Array>();

  constructor(options: TrialsOptions) {
    this.#options = options;
  }

  /**
   * Returns the PSNR that a plan reaches on each prompt of a set. Measured once: the log remembers.
   * @param incumbent PSNRs of a better plan. A plan that is behind it by more than
   * chance explains is given up.
   */
  async psnrs(
    fullSteps: readonly number[],
    { set, calibration, incumbent }: {
      set: TrialSet;
      calibration: ModelCalibration;
      incumbent?: readonly number[] | undefined;
    },
  ): Promise<number[]> {
    const key = `${set.name} ${set.steps} ${calibration.guidedShare} ${fullSteps.join()}`;
    const known = this.#options.log.get<number[]>(key) ?? [];
    this.#options.bar.pass(fullSteps.length * known.length);
    const values = [...known];
    for (let index = known.length; index < set.prompts.length; index++) {
      if (incumbent && isBehind(values, incumbent)) break;
      const reference = await this.#reference(set, index);
      const drawn = await this.#draw(set, index, { method: "calibrated", fullSteps }, calibration);
      values.push(Number(picturePsnr(reference, drawn).toFixed(4)));
    }
    if (values.length > known.length) this.#options.log.add(key, values);
    return values;
  }

  /** Returns the sigmas of a solver of `set.steps` steps. */
  async sigmas(set: TrialSet): Promise<Float64Array> {
    if (!this.#sigmas.has(set.steps)) await this.#reference(set, 0);
    return this.#sigmas.get(set.steps)!;
  }

  async #reference(set: TrialSet, index: number): Promise<Pixels> {
    const key = `${set.name} ${set.steps} ${index}`;
    let reference = this.#references.get(key);
    if (reference === undefined) {
      reference = await this.#draw(set, index, { method: "none" });
      this.#references.set(key, reference);
    }
    return reference;
  }

  async #draw(
    { prompts, seedOffset, steps }: TrialSet,
    index: number,
    sampler: PartialRequest["sampler"],
    calibration?: ModelCalibration,
  ): Promise<Pixels> {
    const { pipeline, given, bar, signal } = this.#options;
    const request = completeRequest({
      ...given,
      prompt: prompts[index]!,
      seed: given.seed + seedOffset + index,
      steps,
      sampler,
    }, { ...pipeline.description, ...calibration && { calibration } });
    const sigmas: number[] = [];
    const { image, video } = await pipeline.generate(request, {
      signal,
      ...calibration && { calibration },
      onStep: ({ kind, sigma }) => {
        sigmas.push(sigma);
        if (kind === "full") bar.pass();
      },
    });
    this.#sigmas.set(steps, Float64Array.from(sigmas.slice(0, steps)));
    return { image, ...video && { video } };
  }

  /** Forgets the references of a number of steps. */
  forget(steps: number): void {
    for (const key of this.#references.keys()) {
      if (key.split(" ")[1] === String(steps)) this.#references.delete(key);
    }
  }
}

/** Whether `values` are more than one standard error below an incumbent's on the same prompts. */
function isBehind(values: readonly number[], incumbent: readonly number[]): boolean {
  if (values.length === 0) return false;
  const mean = advantage(values, incumbent);
  const squares = values.reduce((sum, value, i) => sum + (value - incumbent[i]! - mean) ** 2, 0);
  return mean < -Math.sqrt((PRIOR_DEVIATION ** 2 + squares) / values.length ** 2);
}

/** Returns by how many dB `values` are better than an incumbent's on the same prompts, on average. */
export function advantage(values: readonly number[], incumbent: readonly number[]): number {
  return meanOf(values.map((value, i) => value - incumbent[i]!));
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
