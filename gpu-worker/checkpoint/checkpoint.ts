// A diffusers checkpoint: model_index.json, its components and their configs.
import { type SchedulerConfig, showValue } from "../../sampler/mod.ts";
import { type HeldWeights, quantizationOf, type QuantizationOptions } from "./blocks/quantization_of.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import {
  type CheckpointSource,
  type DigestPart,
  FolderSource,
  type WeightsStem,
} from "./checkpoint_source.ts";
import type { ControlNetFiles } from "./control_net_files.ts";
import type { Addition, WeightEntry, Weights } from "./weights.ts";
import type { Lora } from "../../protocol/wire/model_name.ts";

/** The config and weights from which a component's graph is built. */
export interface Component {
  /** The component's folder. */
  name: string;
  /** Parsed config.json. */
  config: Record<string, unknown>;
  weights: Weights;
}

/** Component -> tensor -> LoRAs' additions to the tensor. */
export type Additions = Map<string, Map<string, Addition[]>>;

export class Checkpoint {
  /** diffusers' pipeline class, e.g. "FluxPipeline". */
  readonly pipelineClass: string;
  /** The LoRAs that have been added to the tensors. */
  readonly loras: readonly Lora[];
  /** One sentence for each part of the LoRA files that is ignored. */
  readonly notes: readonly string[];
  readonly #source: CheckpointSource;
  readonly #additions: Additions;
  readonly #controlNets: readonly ControlNetFiles[];
  /** How linear layers of denoiser and text encoders hold their weights. */
  readonly held: HeldWeights;
  readonly #wholeRows: boolean;

  private constructor(parts: CheckpointParts) {
    const { source, pipelineClass, loras = [], additions = new Map(), notes = [], controlNets = [], held } =
      parts;
    this.#source = source;
    this.pipelineClass = pipelineClass;
    this.loras = loras;
    this.notes = notes;
    this.#additions = additions;
    this.#controlNets = controlNets;
    this.held = held ?? "as-stored";
    this.#wholeRows = parts.wholeRows ?? false;
  }

  /** Opens a checkpoint folder. @throws {CheckpointError} if `folder` holds no pipeline. */
  static open(folder: string): Checkpoint {
    return Checkpoint.of(new FolderSource(folder));
  }

  /** Returns the checkpoint of a source. @throws {CheckpointError} if the source does not name a pipeline. */
  static of(source: CheckpointSource): Checkpoint {
    const className = source.index["_class_name"];
    if (typeof className !== "string") {
      throw new CheckpointError(`Cannot use ${source.path("model_index.json")} as '_class_name' is missing`);
    }
    return new Checkpoint({ source, pipelineClass: className });
  }

  /** The checkpoint's folder, or its single file. */
  get folder(): string {
    return this.#source.location;
  }

  /** Common name of a single file's model: "Stable Diffusion XL". */
  get title(): string | undefined {
    return this.#source.title;
  }

  /** Path of the file with the checkpoint's own defaults, whether or not it exists. */
  get settingsPath(): string {
    return this.#source.settingsPath;
  }

  /** Returns everything besides LoRAs that affects results, in a fixed order. */
  digestParts(): DigestPart[] {
    return this.#source.digestParts();
  }

  /** Returns this checkpoint with `additions` to its tensors. `applyLoras` computes them from files. */
  withLoras(
    loras: readonly Lora[],
    { additions, notes }: { additions: Additions; notes: readonly string[] },
  ): Checkpoint {
    return new Checkpoint({ ...this.#parts(), loras, additions, notes });
  }

  /** Returns this checkpoint with ControlNets. */
  withControlNets(controlNets: readonly ControlNetFiles[]): Checkpoint {
    return new Checkpoint({ ...this.#parts(), controlNets });
  }

  /** The ControlNets that requests may name. */
  get controlNets(): readonly ControlNetFiles[] {
    return this.#controlNets.map((files) => ({ ...files, weights: this.#withHeld(files.weights) }));
  }

  /**
   * Returns this checkpoint with linear layers whose weights are held in another form.
   * @param options.wholeRows whether the denoiser's int8 has one scale a row. @default as before
   */
  withHeld(held: HeldWeights, { wholeRows = this.#wholeRows }: QuantizationOptions = {}): Checkpoint {
    return new Checkpoint({ ...this.#parts(), held, wholeRows });
  }

  /**
   * Returns the class of `component` in model_index.json, or undefined if the checkpoint lacks the component.
   */
  componentClass(component: string): string | undefined {
    const entry = this.#source.index[component];
    const name = Array.isArray(entry) ? entry[1] : undefined;
    return typeof name === "string" ? name : undefined;
  }

  /**
   * Requires `component` to be one of `classes`, and returns its class.
   * @throws {CheckpointError} naming the class that was found instead.
   */
  requireClass(component: string, ...classes: string[]): string {
    const found = this.componentClass(component);
    if (found !== undefined && classes.includes(found)) return found;
    throw new CheckpointError(
      `Cannot use ${showValue(this.pipelineClass)} in ${this.folder} as '${component}' must be ${
        classes.join(" or ")
      }: ` +
        `model_index.json says ${showValue(found ?? "nothing")}`,
    );
  }

  /** Returns the components that have weights, ordered by name, and the ControlNets after them. */
  components(): { name: string; className: string; weights: Weights }[] {
    const own = Object.keys(this.#source.index).sort().flatMap((name) => {
      const className = this.componentClass(name);
      return className === undefined || !this.#source.hasWeights(name)
        ? []
        : [{ name, className, weights: this.weights(name) }];
    });
    return [...own, ...this.controlNets];
  }

  /** Returns the path of a file inside the checkpoint. */
  path(...parts: string[]): string {
    return this.#source.path(...parts);
  }

  /** Returns whether the checkpoint contains the file. */
  has(...parts: string[]): boolean {
    try {
      return Deno.statSync(this.path(...parts)).isFile;
    } catch {
      return false;
    }
  }

  /**
   * Parses a JSON file inside the checkpoint. @throws {CheckpointError} if it
   * is missing or not a JSON object.
   */
  json(...parts: string[]): Record<string, unknown> {
    return this.#source.json(...parts);
  }

  /**
   * Returns the scheduler's config. As in diffusers, its class is the one in
   * model_index.json, whatever the config says.
   * @throws {CheckpointError} as `json`.
   */
  scheduler(): SchedulerConfig {
    const config = this.json("scheduler", "scheduler_config.json") as SchedulerConfig;
    const className = this.componentClass("scheduler");
    return className === undefined ? config : { ...config, _class_name: className };
  }

  /**
   * Returns config and weights of the component `name`.
   * @param stem the file name that the component's library saves weights under
   */
  component(name: string, stem: WeightsStem): Component {
    return { name, config: this.json(name, "config.json"), weights: this.weights(name, stem) };
  }

  /**
   * Returns the tensors of `component`.
   * @param stem the file name that the component's library saves weights under. @default the one that exists
   */
  weights(component: string, stem?: WeightsStem): Weights {
    const weights = this.#source.weights(component, stem);
    const changes = this.#additions.get(component);
    // Text encoders have few tokens, and a few columns of their activations are far larger than all others.
    const wholeRows = this.#wholeRows && !component.startsWith("text_encoder");
    return new Map(
      [...weights, ...addedBiases(weights, changes)].map(([name, entry]) => {
        const additions = changes?.get(name);
        const quantization = component.startsWith("vae")
          ? undefined
          : quantizationOf(entry, this.held, { wholeRows });
        if (additions === undefined && quantization === undefined) return [name, entry];
        return [name, { ...entry, ...additions && { additions }, ...quantization && { quantization } }];
      }),
    );
  }

  #withHeld(weights: Weights): Weights {
    return new Map(
      [...weights].map(([name, entry]) => {
        const quantization = quantizationOf(entry, this.held, { wholeRows: this.#wholeRows });
        return [name, quantization === undefined ? entry : { ...entry, quantization }];
      }),
    );
  }

  #parts(): CheckpointParts {
    const { pipelineClass, loras, notes, held } = this;
    const [source, additions, controlNets] = [this.#source, this.#additions, this.#controlNets];
    const wholeRows = this.#wholeRows;
    return { source, pipelineClass, loras, notes, held, wholeRows, additions, controlNets };
  }
}

interface CheckpointParts {
  source: CheckpointSource;
  pipelineClass: string;
  loras?: readonly Lora[];
  additions?: Additions;
  notes?: readonly string[];
  controlNets?: readonly ControlNetFiles[];
  held?: HeldWeights;
  wholeRows?: boolean;
}

/** Yields the biases that LoRAs give to layers without one: zeros, for the additions to stand on. */
function* addedBiases(
  weights: Weights,
  changes: ReadonlyMap<string, unknown> = new Map(),
): Generator<[string, WeightEntry]> {
  for (const name of changes.keys()) {
    if (weights.has(name)) continue;
    const { path, shape } = weights.get(name.replace(/bias$/, "weight"))!;
    yield [name, { dtype: "float32", shape: [shape[0]!], offset: 0, byteLength: 0, path, order: "zeros" }];
  }
}
