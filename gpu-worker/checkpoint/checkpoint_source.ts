// The source of a checkpoint's parts: a folder, or a single file with the parts that complete it.
import { join } from "node:path";
import { readJsonObject } from "./read_json_object.ts";
import { findWeights, openWeights, type Weights } from "./weights.ts";

/** File names that transformers and diffusers save weights under. */
const STEMS = ["model", "diffusion_pytorch_model"] as const;
export type WeightsStem = (typeof STEMS)[number];

/** A part of a checkpoint that affects results: a file, or a text that is computed. */
export type DigestPart = { name: string } & ({ path: string } | { text: string });

export interface CheckpointSource {
  /** The folder, or the single file. Shown in errors. */
  readonly location: string;
  /** Common name of the model, if the source knows it: "Stable Diffusion XL". */
  readonly title?: string | undefined;
  /** Parsed model_index.json. */
  readonly index: Record<string, unknown>;
  /** Path of the file with the checkpoint's own defaults, whether or not it exists. */
  readonly settingsPath: string;
  /** Returns the path of a file or folder of the checkpoint. */
  path(...parts: string[]): string;
  /** Parses a JSON file. @throws {CheckpointError} if it is missing or not a JSON object. */
  json(...parts: string[]): Record<string, unknown>;
  /** Returns whether the checkpoint has tensors of `component`. */
  hasWeights(component: string): boolean;
  /**
   * Returns the tensors of `component`.
   * @param stem the file name that the component's library saves weights under. @default the one that exists
   * @throws {CheckpointError} naming the file that is missing, truncated or malformed.
   */
  weights(component: string, stem?: WeightsStem): Weights;
  /** Returns everything that affects results, in a fixed order. */
  digestParts(): DigestPart[];
}

const SETTINGS = "spectrum.json";

/** A folder in diffusers' layout. */
export class FolderSource implements CheckpointSource {
  readonly location: string;
  readonly index: Record<string, unknown>;
  readonly settingsPath: string;

  /** @throws {CheckpointError} if the folder has no model_index.json. */
  constructor(folder: string) {
    this.location = folder;
    this.index = readJsonObject(join(folder, "model_index.json"));
    this.settingsPath = join(folder, SETTINGS);
  }

  path(...parts: string[]): string {
    return join(this.location, ...parts);
  }

  json(...parts: string[]): Record<string, unknown> {
    return readJsonObject(this.path(...parts));
  }

  hasWeights(component: string): boolean {
    return this.#stem(component) !== undefined;
  }

  weights(component: string, stem: WeightsStem = this.#stem(component) ?? "model"): Weights {
    return openWeights(this.path(component), stem);
  }

  #stem(component: string): WeightsStem | undefined {
    const folder = this.path(component);
    return STEMS.find((stem) => findWeights(folder, stem) !== undefined);
  }

  digestParts(): DigestPart[] {
    return filesIn(this.location);
  }
}

/**
 * Returns the .json, .safetensors and tokenizer files under `folder`, ordered by path. Links that lead
 * nowhere, or back to a folder that holds them, are passed over: nothing can be read there.
 */
export function filesIn(
  folder: string,
  { prefix = "", above = new Set() }: { prefix?: string; above?: ReadonlySet<string> } = {},
): { name: string; path: string }[] {
  const found: { name: string; path: string }[] = [];
  const here = new Set(above).add(Deno.realPathSync(join(folder, prefix)));
  for (const entry of Deno.readDirSync(join(folder, prefix))) {
    const name = prefix + entry.name;
    const path = join(folder, name);
    const info = statOf(path);
    if (info?.isDirectory) {
      if (entry.isSymlink && here.has(Deno.realPathSync(path))) continue;
      found.push(...filesIn(folder, { prefix: `${name}/`, above: here }));
    } else if (info?.isFile && /\.(json|safetensors|model|txt)$/.test(name)) found.push({ name, path });
  }
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.FilesystemLoop) {
      return undefined;
    }
    throw error;
  }
}
