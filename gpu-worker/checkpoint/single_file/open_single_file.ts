// Opens a single file as a checkpoint. Configs, tokenizers and lacking networks come from the repository in
// which its model was published, or from where the user says.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { SchedulerConfig } from "../../../sampler/mod.ts";
import { Checkpoint } from "../checkpoint.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { FolderSource } from "../checkpoint_source.ts";
import { findCheckpoint } from "../find_checkpoint.ts";
import { PART_COMPONENTS, type PartFiles } from "../part_files.ts";
import { hubName } from "../published_settings.ts";
import type { Weights } from "../weights.ts";
import type { Architecture, Denoiser, Variant } from "./architecture.ts";
import { AssembledSource } from "./assembled_source.ts";
import { recogniseFile, recognisePart } from "./recognise_file.ts";

export interface OpenSingleFileOptions {
  architectures: readonly Architecture[];
  parts: PartFiles;
}

/**
 * Opens the single file at `path`.
 * @throws {CheckpointError} if the file is not a model we can run, or lacks parts that are nowhere to be
 * found. The message then contains the command that fetches them.
 */
export function openSingleFile(path: string, { architectures, parts }: OpenSingleFileOptions): Checkpoint {
  const { architecture, variant, networks: inside } = recogniseFile(path, architectures, {
    given: PART_COMPONENTS.filter((component) => parts[component] !== undefined),
  });
  const given = readPartFiles(parts, architecture);
  const networks = new Map([...inside, ...given]);
  const base = findBase({ path, architecture, variant, networks, components: parts.components });
  const { denoiser, tokenizers } = architecture;
  const pipelineClass = variant.pipelineClass ?? String(base.index["_class_name"]);
  const sizes = denoiser.sizes(networks.get(denoiser.component)!);
  const published = base.json(denoiser.component, "config.json");
  const isPublished = agree(published, sizes);
  const scheduler = {
    ...isPublished ? schedulerOf(base) : variant.scheduler,
    ...variant.schedulerOptions,
  };
  const components = [denoiser, ...architecture.parts].filter(({ component }) =>
    networks.has(component) || base.hasWeights(component)
  );
  // The pipeline's own options. One of Qwen-Image-2.1's is a list of numbers.
  const plain = Object.entries(base.index).filter(([, entry]) => !isComponent(entry));
  const name = isPublished ? hubName(base.location, base.index) : variant.repositories[0];
  const index = {
    ...Object.fromEntries(plain),
    _class_name: pipelineClass,
    ...name !== undefined && { _name_or_path: name },
    scheduler: ["diffusers", scheduler._class_name],
    ...Object.fromEntries(components.map(({ component, className }) => [component, ["", className]])),
    ...Object.fromEntries(
      Object.entries(tokenizers).map(([component, name]) => [component, ["transformers", name]]),
    ),
  };
  return Checkpoint.of(
    new AssembledSource({
      location: path,
      title: variant.pipelineClass ? variant.title : architecture.siblings?.[pipelineClass] ?? variant.title,
      index,
      settingsPath: path.replace(/(?:\.safetensors|\.gguf)?$/, ".spectrum.json"),
      base,
      networks,
      configs: new Map<string, Record<string, unknown>>([
        [`${denoiser.component}/config.json`, { ...published, ...sizes }],
        ["scheduler/scheduler_config.json", scheduler],
      ]),
      files: [path, ...filesOf(parts)],
    }),
  );
}

/**
 * Opens a folder in diffusers' layout with some of its networks from single files.
 * @throws {CheckpointError} if a file does not hold the network that it should replace.
 */
export function openFolderWithParts(
  folder: string,
  { architectures, parts }: OpenSingleFileOptions,
): Checkpoint {
  const base = new FolderSource(folder);
  const files = filesOf(parts);
  if (parts.components !== undefined) {
    throw new CheckpointError(
      `Cannot take components from ${parts.components} as ${folder} is not a single file`,
    );
  }
  if (files.length === 0) return Checkpoint.of(base);
  const own = String(base.index["_class_name"]);
  const architecture = architectures.find(({ pipelineClass, siblings = {} }) =>
    pipelineClass === own || Object.hasOwn(siblings, own)
  );
  if (architecture === undefined) {
    throw new CheckpointError(`Cannot replace parts of ${folder} as its pipeline class is not supported`);
  }
  const networks = readPartFiles(parts, architecture);
  const { index, settingsPath } = base;
  return Checkpoint.of(new AssembledSource({ location: folder, index, settingsPath, base, networks, files }));
}

function filesOf(parts: PartFiles): string[] {
  return PART_COMPONENTS.flatMap((component) => parts[component] ?? []);
}

/** Reads the files that were given for single components. */
function readPartFiles(
  parts: PartFiles,
  { pipelineClass, parts: known }: Architecture,
): Map<string, Weights> {
  return new Map(
    PART_COMPONENTS.flatMap((component): [string, Weights][] => {
      const file = parts[component];
      if (file === undefined) return [];
      const part = known.find((part) => part.component === component);
      if (part === undefined) {
        throw new CheckpointError(`Cannot use ${file} as ${pipelineClass} has no '${component}'`);
      }
      return [[component, recognisePart(file, part)]];
    }),
  );
}

interface BaseQuery {
  path: string;
  architecture: Architecture;
  variant: Variant;
  networks: ReadonlyMap<string, Weights>;
  components: string | undefined;
}

/** Finds a folder with all that the file lacks. */
function findBase({ path, architecture, variant, networks, components }: BaseQuery): FolderSource {
  const { pipelineClass, parts, siblings = {} } = architecture;
  const others = variant.pipelineClass === undefined ? Object.keys(siblings) : [variant.pipelineClass];
  const fitting = [...new Set([pipelineClass, ...others])];
  const needed = parts.filter(({ component, optional }) => optional !== true && !networks.has(component))
    .map(({ component }) => component);
  const lacking = (base: FolderSource) => needed.filter((component) => !base.hasWeights(component));
  const found = candidates(components, variant).map((folder) => new FolderSource(folder));
  const refuse = (lack: readonly string[], where: string) => {
    const [repository] = variant.repositories;
    const flags = lack.length === 0 ? "--config-only" : `--only ${lack.join(",")}`;
    const what = [...lack, "configs and tokenizers"].join(", ");
    return new CheckpointError(
      `Cannot use ${path} (${variant.title}) as ${where}: it lacks ${what}. ` +
        `Try \`deno task pull ${flags} ${repository}\``,
    );
  };
  if (found.length === 0) {
    throw refuse(needed, `${variant.repositories.join(" or ")} is not in the Hugging Face cache`);
  }
  for (const { location, index } of found) {
    if (fitting.includes(String(index["_class_name"]))) continue;
    throw new CheckpointError(
      `Cannot use the components in ${location} for ${path} as they must be a ${
        fitting.join(" or a ")
      }'s: model_index.json says ${String(index["_class_name"])}`,
    );
  }
  const base = found.find((base) => lacking(base).length === 0);
  if (base !== undefined) {
    const absent = [
      ...[...networks.keys()].map((component) => join(component, "config.json")),
      ...Object.keys(architecture.tokenizers).filter((name) => isNeeded(name, networks, base)),
    ].find((file) => !existsSync(base.path(file)));
    if (absent === undefined) return base;
    throw refuse([], `${base.path(absent)} does not exist`);
  }
  throw refuse(lacking(found[0]!), `${found[0]!.location} is not complete`);
}

/** A tokenizer is needed if its encoder is there: tokenizer_3 with text_encoder_3. */
function isNeeded(tokenizer: string, networks: ReadonlyMap<string, Weights>, base: FolderSource): boolean {
  const encoder = tokenizer.replace("tokenizer", "text_encoder");
  // A processor is that of the only encoder.
  return encoder === tokenizer || networks.has(encoder) || base.hasWeights(encoder);
}

function candidates(components: string | undefined, { repositories }: Variant): string[] {
  if (components !== undefined) return [findCheckpoint(components)];
  return repositories.flatMap((repository) => {
    try {
      return [findCheckpoint(repository)];
    } catch (error) {
      if (error instanceof CheckpointError) return [];
      throw error;
    }
  });
}

/** A component is its library and its class, both null if the pipeline lacks it. */
function isComponent(entry: unknown): boolean {
  return Array.isArray(entry) && entry.every((name) => name === null || typeof name === "string");
}

function schedulerOf(base: FolderSource): SchedulerConfig {
  return Checkpoint.of(base).scheduler();
}

/** Whether a config says what the tensors say. Options that it leaves out have their class's defaults. */
function agree(config: Record<string, unknown>, sizes: ReturnType<Denoiser["sizes"]>): boolean {
  return Object.entries(sizes).every(([key, size]) => {
    const value = config[key];
    if (value === undefined) return true;
    const list = (entry: unknown, other: unknown) =>
      Array.isArray(other) && !Array.isArray(entry) ? other.map(() => entry) : entry;
    return JSON.stringify(list(value, size)) === JSON.stringify(list(size, value));
  });
}
