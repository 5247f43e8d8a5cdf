// Finds and opens a ControlNet: a folder in diffusers' layout, or ORG/NAME in the Hugging Face cache.
import { join, resolve } from "node:path";
import { controlNetName } from "../../protocol/wire/model_name.ts";
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { findSnapshot } from "./find_checkpoint.ts";
import { hubCacheFolder, parseHubName } from "./hub_cache.ts";
import { readJsonObject } from "./read_json_object.ts";
import { openWeights, type Weights } from "./weights.ts";

/** A ControlNet's config and weights, as a component of its model. */
export interface ControlNetFiles {
  /** The component's name: CONTROL_NET_PREFIX and `shortName`. */
  name: string;
  /** Parsed config.json. */
  config: Record<string, unknown>;
  weights: Weights;
  /** The name that requests give. */
  shortName: string;
  /** The folder. */
  folder: string;
  /** diffusers' class, e.g. "ControlNetModel". */
  className: string;
}

/** Begins the names of components that are ControlNets. */
export const CONTROL_NET_PREFIX = "controlnet_";

const CONFIG = "config.json";

/**
 * Opens ControlNets for the model `model`.
 * @param names directories, or ORG/NAME
 * @throws {CheckpointError} naming both, if one is missing or damaged, or if two have the same short name.
 */
export function openControlNets(names: readonly string[], model: string): ControlNetFiles[] {
  const opened = names.map((name) => openControlNet(name, model));
  for (const [i, { shortName, folder }] of opened.entries()) {
    const other = opened.slice(0, i).find((files) => files.shortName === shortName);
    if (other === undefined) continue;
    throw new CheckpointError(
      `Cannot use ControlNets ${other.folder} and ${folder} with ${model} ` +
        `as requests would name both '${shortName}'`,
    );
  }
  return opened;
}

function openControlNet(name: string, model: string): ControlNetFiles {
  const folder = findFolder(name, model);
  try {
    const config = readJsonObject(join(folder, CONFIG));
    const className = config["_class_name"];
    if (typeof className !== "string") {
      throw new CheckpointError(`Cannot use ${join(folder, CONFIG)} as '_class_name' is missing`);
    }
    const shortName = controlNetName(name);
    const weights = openWeights(folder, "diffusion_pytorch_model");
    return { name: `${CONTROL_NET_PREFIX}${shortName}`, shortName, folder, className, config, weights };
  } catch (cause) {
    if (!(cause instanceof CheckpointError)) throw cause;
    throw controlNetError({ folder, model }, lowerFirst(cause.message), cause);
  }
}

function findFolder(name: string, model: string): string {
  const folder = resolve(name);
  if (kindOf(join(folder, CONFIG)) === "file") return folder;
  const snapshot = findSnapshot(name, CONFIG);
  if (snapshot !== undefined) return snapshot;
  const refused = { folder: name, model };
  if (kindOf(folder) === "file") {
    throw controlNetError(refused, "it must be a folder in diffusers' layout, but is a single file");
  }
  if (kindOf(join(folder, "model_index.json")) === "file") {
    throw controlNetError(refused, "it is a whole pipeline: name its folder of the ControlNet");
  }
  const download = parseHubName(name) === undefined ? "" : `. 'deno task pull ${name}' downloads it`;
  throw controlNetError(
    refused,
    `neither ${join(folder, CONFIG)} nor a snapshot in ${hubCacheFolder()} exists${download}`,
  );
}

/** Returns an error that names the ControlNet and the model. */
export function controlNetError(
  { folder, model }: { folder: string; model: string },
  problem: string,
  cause?: unknown,
): CheckpointError {
  return new CheckpointError(
    `Cannot use ControlNet ${folder} with ${model} as ${problem}`,
    cause === undefined ? undefined : { cause },
  );
}

/**
 * Checks the class of a ControlNet.
 * @throws {CheckpointError} naming the class that the model's pipeline takes.
 */
export function requireControlNetClass(
  { folder, className }: ControlNetFiles,
  { model, takes }: { model: string; takes: string },
): void {
  if (className === takes) return;
  throw controlNetError({ folder, model }, `its class must be ${takes}, but is ${showValue(className)}`);
}

/** A size that a ControlNet and its model must share. */
export interface ControlNetFit {
  option: string;
  value: unknown;
  expected: unknown;
}

/**
 * Checks a ControlNet's sizes against its denoiser's.
 * @throws {CheckpointError} naming the first size that differs.
 */
export function assertControlNetFits(
  controlNet: { folder: string; model: string },
  sizes: readonly ControlNetFit[],
): void {
  for (const { option, value, expected } of sizes) {
    const [own, wanted] = [JSON.stringify(value) ?? "absent", JSON.stringify(expected) ?? "absent"];
    if (own === wanted) continue;
    throw controlNetError(
      controlNet,
      `'${option}' must be the model's ${wanted}, but is ${own}: it was made for another model`,
    );
  }
}

function kindOf(path: string): "file" | "folder" | undefined {
  try {
    return Deno.statSync(path).isFile ? "file" : "folder";
  } catch {
    return undefined;
  }
}

function lowerFirst(message: string): string {
  return message.replace(/^Cannot \w+ /, "").replace(/^\S+ as (?=it )/, "");
}
