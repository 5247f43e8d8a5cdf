// A diffusers checkpoint directory: model_index.json, its components and their configs.
import { type SchedulerConfig, showValue } from "../../sampler/mod.ts";
import { join } from "node:path";
import { CheckpointError } from "./checkpoint_error.ts";
import { type Addition, findWeights, openWeights, type Weights } from "./weights.ts";
import type { Lora } from "./model_name.ts";

/** File names that transformers and diffusers save weights under. */
const STEMS = ["model", "diffusion_pytorch_model"] as const;
export type WeightsStem = (typeof STEMS)[number];

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
  readonly folder: string;
  /** diffusers' pipeline class, e.g. "FluxPipeline". */
  readonly pipelineClass: string;
  /** The LoRAs that have been added to the tensors. */
  readonly loras: readonly Lora[];
  /** One sentence for each part of the LoRA files that is ignored. */
  readonly notes: readonly string[];
  readonly #index: Record<string, unknown>;
  readonly #additions: Additions;

  private constructor(parts: CheckpointParts) {
    const { folder, index, pipelineClass, loras = [], additions = new Map(), notes = [] } = parts;
    this.folder = folder;
    this.#index = index;
    this.pipelineClass = pipelineClass;
    this.loras = loras;
    this.notes = notes;
    this.#additions = additions;
  }

  /** Opens a checkpoint folder. @throws {CheckpointError} if `folder` holds no pipeline. */
  static open(folder: string): Checkpoint {
    const path = join(folder, "model_index.json");
    const index = readJson(path);
    const className = index["_class_name"];
    if (typeof className !== "string") {
      throw new CheckpointError(`Cannot use ${path} as '_class_name' is missing`);
    }
    return new Checkpoint({ folder, index, pipelineClass: className });
  }

  /** Returns this checkpoint with `additions` to its tensors. `applyLoras` computes them from files. */
  withLoras(
    loras: readonly Lora[],
    { additions, notes }: { additions: Additions; notes: readonly string[] },
  ): Checkpoint {
    const { folder, pipelineClass } = this;
    return new Checkpoint({ folder, pipelineClass, index: this.#index, loras, additions, notes });
  }

  /**
   * Returns the class of `component` in model_index.json, or undefined if the checkpoint lacks the component.
   */
  componentClass(component: string): string | undefined {
    const entry = this.#index[component];
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

  /** Returns the components that have weights, ordered by name. */
  components(): { name: string; className: string; weights: Weights }[] {
    return Object.keys(this.#index).sort().flatMap((name) => {
      const className = this.componentClass(name);
      const stem = STEMS.find((stem) => findWeights(this.path(name), stem) !== undefined);
      return className === undefined || stem === undefined
        ? []
        : [{ name, className, weights: this.weights(name, stem) }];
    });
  }

  /** Returns the path of a file inside the checkpoint. */
  path(...parts: string[]): string {
    return join(this.folder, ...parts);
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
    return readJson(this.path(...parts));
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
   * @param stem the file name that the component's library saves weights under
   */
  weights(component: string, stem: WeightsStem): Weights {
    const weights = openWeights(this.path(component), stem);
    const additions = this.#additions.get(component);
    if (additions === undefined) return weights;
    return new Map(
      [...weights].map(([name, entry]) => {
        const added = additions.get(name);
        return [name, added === undefined ? entry : { ...entry, additions: added }];
      }),
    );
  }
}

interface CheckpointParts {
  folder: string;
  index: Record<string, unknown>;
  pipelineClass: string;
  loras?: readonly Lora[];
  additions?: Additions;
  notes?: readonly string[];
}

/** A tokenizer of 250,000 tokens has some 30 MB. */
const MAX_JSON_BYTES = 100_000_000;

function readJson(path: string): Record<string, unknown> {
  let text: string;
  try {
    const { size } = Deno.statSync(path);
    if (size > MAX_JSON_BYTES) {
      throw new CheckpointError(
        `Cannot read ${path} as it must have at most ${MAX_JSON_BYTES} bytes, but has ${size}`,
      );
    }
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new CheckpointError(`Cannot read ${path} as it does not exist`, { cause });
    }
    throw cause;
  }
  try {
    // Python writes infinity as a word, e.g. in DPMSolverMultistep's config. JSON has none,
    // but parses 1e999 as infinity.
    const value = JSON.parse(text.replaceAll(/(?<=:\s*-?)Infinity(?=\s*[,}])/g, "1e999"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${path} as it is not JSON`, { cause });
  }
  throw new CheckpointError(`Cannot read ${path} as it is not a JSON object`);
}
