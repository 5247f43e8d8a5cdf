// A checkpoint of parts from several places: networks from single files, and configs, tokenizers and all
// other networks from a folder in diffusers' layout.
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  type CheckpointSource,
  type DigestPart,
  filesIn,
  FolderSource,
  type WeightsStem,
} from "../checkpoint_source.ts";
import { readJsonObject } from "../read_json_object.ts";
import type { Weights } from "../weights.ts";

export interface AssembledSourceOptions {
  /** The single file, or the folder of which parts are replaced. */
  location: string;
  /** Common name of the single file's model. */
  title?: string;
  /** model_index.json. It lists the components that the pipeline has. */
  index: Record<string, unknown>;
  /** Path of the checkpoint's own defaults. */
  settingsPath: string;
  /** Has everything that `networks` and `configs` lack. */
  base: FolderSource;
  /** Tensors by component. */
  networks: ReadonlyMap<string, Weights>;
  /** Configs by path, such as "transformer/config.json". @default the base's */
  configs?: ReadonlyMap<string, Record<string, unknown>>;
  /** The single files. */
  files: readonly string[];
}

/** Files that are the checkpoint's own. The base's belong to the model that was published there. */
const OWN = ["spectrum.json", "names.txt"];

export class AssembledSource implements CheckpointSource {
  readonly location: string;
  readonly title: string | undefined;
  readonly index: Record<string, unknown>;
  readonly settingsPath: string;
  readonly #base: FolderSource;
  readonly #networks: ReadonlyMap<string, Weights>;
  readonly #configs: ReadonlyMap<string, Record<string, unknown>>;
  readonly #files: readonly string[];

  constructor(options: AssembledSourceOptions) {
    this.location = options.location;
    this.title = options.title;
    this.index = options.index;
    this.settingsPath = options.settingsPath;
    this.#base = options.base;
    this.#networks = options.networks;
    this.#configs = options.configs ?? new Map();
    this.#files = options.files;
  }

  path(...parts: string[]): string {
    const [name = ""] = parts;
    if (this.location === this.#base.location || !OWN.includes(name)) return this.#base.path(...parts);
    return name === "spectrum.json" ? this.settingsPath : join(this.location, name);
  }

  json(...parts: string[]): Record<string, unknown> {
    const path = parts.join("/");
    if (path === "model_index.json") return this.index;
    return this.#configs.get(path) ?? readJsonObject(this.path(...parts));
  }

  hasWeights(component: string): boolean {
    return this.#networks.has(component) || this.#base.hasWeights(component);
  }

  weights(component: string, stem?: WeightsStem): Weights {
    return this.#networks.get(component) ?? this.#base.weights(component, stem);
  }

  digestParts(): DigestPart[] {
    const folders = Object.entries(this.index).flatMap(([name, entry]) => Array.isArray(entry) ? [name] : []);
    return [
      { name: "index", text: JSON.stringify(this.index) },
      ...[...this.#configs].map(([name, config]) => ({ name, text: JSON.stringify(config) })),
      ...this.#files.map((path, i) => ({ name: `file ${i}`, path })),
      ...folders.sort().flatMap((folder) => {
        if (!existsSync(this.#base.path(folder))) return [];
        const files = filesIn(this.#base.path(folder)).map(({ name, path }) => ({
          name: `${folder}/${name}`,
          path,
        }));
        // The base gives only the config of a network that the single file holds.
        return files.filter(({ name }) =>
          !this.#configs.has(name) && (!this.#networks.has(folder) || name === `${folder}/config.json`)
        );
      }),
      ...existsSync(this.settingsPath) ? [{ name: "settings", path: this.settingsPath }] : [],
    ];
  }
}
