// Draws with plans on trial and measures how near they come to every step in full.
import { meanOf } from "../mean_of.ts";
import type { ModelCalibration } from "../../request/model_calibration.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import type { CalibrationBar } from "./calibration_bar.ts";
import { drawTogether } from "./draw_together.ts";
import { picturePsnr, type Pixels } from "./picture_psnr.ts";
import type { TrialLog } from "./trial_log.ts";

export interface TrialsOptions {
  pipeline: Pipeline;
  /** The request without prompt, steps and method. The seed grows by one with each prompt. */
  given: Omit<PartialRequest, "prompt" | "sampler" | "steps">;
  log: TrialLog;
  bar: CalibrationBar;
  signal: AbortSignal;
  /** Whether each picture has the device to itself, to save memory. */
  alone: boolean;
}

/** How much a difference between two plans varies from prompt to prompt, in dB, before any was measured. */
const PRIOR_DEVIATION = 3;

/** Prompts of a trial that are drawn before it can be given up. */
const FIRST = 4;
/** Most prompts that are drawn together. */
const TOGETHER = 8;

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
  /** Pictures with every step in full. */
  readonly #full = new Map<string, Pixels>();
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
    const { guidedShare, feedback } = calibration;
    const key = `${set.name} ${set.steps} ${guidedShare} ${feedback} ${fullSteps.join()}`;
    const known = this.#options.log.get<number[]>(key) ?? [];
    const values: number[] = [];
    // Known values are taken in the same portions, so that the log doesn't change what a search finds.
    while (values.length < set.prompts.length) {
      if (incumbent && isBehind(values, incumbent)) break;
      const end = Math.min(set.prompts.length, values.length < FIRST ? FIRST : values.length + TOGETHER);
      if (known.length >= end) {
        this.#options.bar.pass(fullSteps.length * (end - values.length));
        values.push(...known.slice(values.length, end));
        continue;
      }
      const indices = Array.from({ length: end - values.length }, (_, i) => values.length + i);
      const references = await this.#references(set, indices);
      const drawn = await this.#draw(set, indices, { method: "calibrated", fullSteps }, calibration);
      for (const [i, pixels] of drawn.entries()) {
        values.push(Number(picturePsnr(references[i]!, pixels).toFixed(4)));
      }
    }
    if (values.length > known.length) this.#options.log.add(key, values);
    return values;
  }

  /** Returns the sigmas of a solver of `set.steps` steps. */
  async sigmas(set: TrialSet): Promise<Float64Array> {
    if (!this.#sigmas.has(set.steps)) await this.#references(set, [0]);
    return this.#sigmas.get(set.steps)!;
  }

  /** Returns the pictures of the prompts at `indices` with every step in full. */
  async #references(set: TrialSet, indices: readonly number[]): Promise<Pixels[]> {
    const keyOf = (index: number) => `${set.name} ${set.steps} ${index}`;
    const missing = indices.filter((index) => !this.#full.has(keyOf(index)));
    for (let first = 0; first < missing.length; first += TOGETHER) {
      const some = missing.slice(first, first + TOGETHER);
      for (const [i, pixels] of (await this.#draw(set, some, { method: "none" })).entries()) {
        this.#full.set(keyOf(some[i]!), pixels);
      }
    }
    return indices.map((index) => this.#full.get(keyOf(index))!);
  }

  async #draw(
    { prompts, seedOffset, steps }: TrialSet,
    indices: readonly number[],
    sampler: PartialRequest["sampler"],
    calibration?: ModelCalibration,
  ): Promise<Pixels[]> {
    const { pipeline, given, bar, signal, alone } = this.#options;
    const sigmas: number[] = [];
    const requests = indices.map((index) => ({
      ...given,
      prompt: prompts[index]!,
      seed: given.seed + seedOffset + index,
      steps,
      sampler,
    }));
    const drawn = await drawTogether(pipeline, requests, {
      alone,
      signal,
      ...calibration && { calibration },
      onStep: ({ index, kind, sigma }) => {
        sigmas[index] = sigma;
        if (kind === "full") bar.pass();
      },
    });
    this.#sigmas.set(steps, Float64Array.from(sigmas));
    return drawn;
  }

  /** Forgets the references of a number of steps. */
  forget(steps: number): void {
    for (const key of this.#full.keys()) {
      if (key.split(" ")[1] === String(steps)) this.#full.delete(key);
    }
  }
}

/**
 * Whether `values` are behind an incumbent's on the same prompts by more than one standard error. The fewer
 * prompts are left, the less is allowed.
 */
function isBehind(values: readonly number[], incumbent: readonly number[]): boolean {
  if (values.length === 0) return false;
  const mean = advantage(values, incumbent);
  const squares = values.reduce((sum, value, i) => sum + (value - incumbent[i]! - mean) ** 2, 0);
  const error = Math.sqrt((PRIOR_DEVIATION ** 2 + squares) / values.length ** 2);
  return mean < -error * (1 - values.length / incumbent.length);
}

/** Returns by how many dB `values` are better than an incumbent's on the same prompts, on average. */
export function advantage(values: readonly number[], incumbent: readonly number[]): number {
  return meanOf(values.map((value, i) => value - incumbent[i]!));
}
