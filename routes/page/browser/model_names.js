// Models by checkpoint: a worker serves one with LoRAs under a name of its own,
// CHECKPOINT+FILE.safetensors[:WEIGHT]+... (docs/decisions/0010-loras-belong-to-a-model.md). The browser's
// copy of protocol/wire/model_name.ts; tests/routes/page/model_names_test.ts holds the two together.

/** @import { Model } from "./wire.d.ts" */

const LAST_LORA = /^(.+)\+([^+]+\.safetensors)(?::([^+:/\\]*))?$/s;

/** @typedef {{ checkpoint: string, loras: { file: string, weight: string }[] }} ModelName */

/**
 * Splits a model's name into checkpoint, LoRAs and ControlNets.
 *
 * @param {string} id
 * @returns {ModelName}
 */
export function splitModelName(id) {
  /** @type {ModelName} */
  const name = { checkpoint: id, loras: [] };
  for (let match; (match = LAST_LORA.exec(name.checkpoint)) !== null;) {
    const [, checkpoint = "", file = "", weight = "1"] = match;
    name.checkpoint = checkpoint;
    name.loras.unshift({ file, weight });
  }
  return name;
}

/**
 * Describes the LoRAs of a model: "style" of loras/style.safetensors:1, "style 0.7 + detail" of two, "None"
 * without any.
 *
 * @param {string} id
 */
export function describeLoras(id) {
  const { loras } = splitModelName(id);
  const names = loras.map(({ file, weight }) => weight === "1" ? stem(file) : `${stem(file)} ${weight}`);
  return names.join(" + ") || "None";
}

/** Describes the LoRAs without their weights. @param {string} id */
export function nameLoras(id) {
  return splitModelName(id).loras.map(({ file }) => stem(file)).join(" + ") || "None";
}

/** Describes the weights of a model's LoRAs: "0.7", or "0.7 + 1" of two. @param {string} id */
export function describeWeights(id) {
  return splitModelName(id).loras.map(({ weight }) => weight).join(" + ");
}

/**
 * Files of LoRAs -> the models that differ in nothing but their weights, in the service's order.
 *
 * @param {readonly Model[]} models Of one checkpoint.
 * @returns {Map<string, Model[]>}
 */
export function byLoras(models) {
  return Map.groupBy(models, ({ id }) => splitModelName(id).loras.map(({ file }) => file).join("+"));
}

/**
 * Groups models by their checkpoint, in the service's order.
 *
 * @param {readonly Model[]} models
 * @returns {Map<string, Model[]>}
 */
export function byCheckpoint(models) {
  return Map.groupBy(models, ({ id }) => splitModelName(id).checkpoint);
}

/** @param {string} file */
function stem(file) {
  return file.replace(/^.*[/\\]/, "").replace(/\.safetensors$/, "");
}
