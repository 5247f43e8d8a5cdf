// What every loaded checkpoint has, whatever it draws: its reading and the sessions it owns.
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import { IdleDenoisers } from "../denoiser/idle_denoisers.ts";
import type {
  CheckpointReading,
  GenerateOptions,
  GenerateResult,
  ModelInfo,
  OpenOptions,
  Pipeline,
} from "./pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { RememberedWalks } from "./remembered_walks.ts";
import type { ModelDescription } from "../request/model_description.ts";

/** A family adds `generate`. */
export abstract class LoadedPipeline<Reading extends CheckpointReading> implements Pipeline {
  readonly model: ModelInfo;
  protected readonly runtime: Runtime;
  /** Compute type of encoders and denoiser. */
  protected readonly dtype: DType;
  protected readonly reading: Reading;
  /** From one run to the next. */
  protected readonly denoisers: IdleDenoisers;
  protected readonly walks: RememberedWalks = new RememberedWalks();
  readonly #stack: DisposableStack;

  /** @param stack what the checkpoint has loaded; the pipeline owns it from here on */
  protected constructor({ runtime, model, dtype }: OpenOptions, reading: Reading, stack: DisposableStack) {
    this.model = model;
    this.runtime = runtime;
    this.dtype = dtype;
    this.reading = reading;
    this.denoisers = stack.use(new IdleDenoisers(runtime));
    this.#stack = stack;
  }

  abstract generate(request: GenerateRequest, options?: GenerateOptions): Promise<GenerateResult>;

  get description(): ModelDescription {
    return this.reading;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
