// Denoisers between two runs. Most requests ask for the size and the plan of one before: its tensors, some seventy on a plan of
// ten passes, are not made and collected again for each picture (docs/decisions/0028-between-two-runs.md).
import { LRUCache } from "lru-cache";
import type { ForecastCall, ForecastOptions, FullCall, PlannedForecasts } from "../../sampler/mod.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { DenoiserFeeds, DenoiserSessions, DenoiserShape } from "./denoiser_shape.ts";
import { OnnxDenoiser, type PassResult } from "./onnx_denoiser.ts";
import type { RunDenoiser } from "./run_denoiser.ts";

/** What all idle denoisers may take together; a larger one is freed when its run ends. */
const IDLE_BYTES = 8 * 2 ** 20;

export class IdleDenoisers implements Disposable {
  readonly #runtime: Runtime;
  /** By shape. */
  readonly #idle = new LRUCache<string, OnnxDenoiser>({
    maxSize: IDLE_BYTES,
    dispose: (denoiser) => {
      if (denoiser !== this.#taken) denoiser[Symbol.dispose]();
    },
  });
  /** Leaves for a run, not to be freed. */
  #taken: OnnxDenoiser | undefined;
  #disposed = false;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** A denoiser for one run, which disposes of it. All have the same sessions. */
  take(sessions: DenoiserSessions, options: DenoiserShape & DenoiserFeeds): LentDenoiser {
    const key = keyOf(options);
    const idle = key === undefined ? undefined : this.#idle.get(key);
    if (key === undefined || idle === undefined) {
      return new LentDenoiser(new OnnxDenoiser(this.#runtime, sessions, options), this.#returnTo(key));
    }
    this.#taken = idle;
    this.#idle.delete(key);
    this.#taken = undefined;
    idle.begin(options);
    return new LentDenoiser(idle, this.#returnTo(key));
  }

  /** Frees those that are idle, and others once they are returned. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#idle.clear();
  }

  #returnTo(key: string | undefined): (denoiser: OnnxDenoiser) => void {
    return (denoiser) => {
      const size = denoiser.byteLength;
      if (key === undefined || this.#disposed || size > IDLE_BYTES) return denoiser[Symbol.dispose]();
      denoiser.end();
      this.#idle.set(key, denoiser, { size });
    };
  }
}

/** Of one run. */
export class LentDenoiser implements RunDenoiser {
  readonly #denoiser: OnnxDenoiser;
  readonly #giveBack: (denoiser: OnnxDenoiser) => void;
  #isKept = false;

  constructor(denoiser: OnnxDenoiser, giveBack: (denoiser: OnnxDenoiser) => void) {
    this.#denoiser = denoiser;
    this.#giveBack = giveBack;
  }

  prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void> {
    return this.#denoiser.prepare(forecasts, signal);
  }

  full(call: FullCall): Promise<PassResult> {
    return this.#denoiser.full(call);
  }

  forecast(calls: readonly ForecastCall[], options?: ForecastOptions): Promise<Float32Array[]> {
    return this.#denoiser.forecast(calls, options);
  }

  features(): Promise<Float32Array> {
    return this.#denoiser.features();
  }

  keep(): void {
    this.#isKept = true;
  }

  [Symbol.dispose](): void {
    if (this.#isKept) this.#giveBack(this.#denoiser);
    else this.#denoiser[Symbol.dispose]();
  }
}

/** @returns undefined where guidance is a function, of which none equals another */
function keyOf(shape: DenoiserShape): string | undefined {
  const { pictures = 1, branches, slots, steps, outputDims, featureDims, featureType, guide } = shape;
  if (typeof guide === "function") return undefined;
  return JSON.stringify({ pictures, branches, slots, steps, outputDims, featureDims, featureType, guide });
}
