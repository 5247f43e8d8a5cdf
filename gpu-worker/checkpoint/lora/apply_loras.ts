// Adds LoRAs to a checkpoint. Its tensors then carry the additions, and every
// graph built from it applies them.
import { showValue } from "../../../sampler/mod.ts";
import type { Lora } from "../../../protocol/wire/model_name.ts";
import type { Additions, Checkpoint } from "../checkpoint.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { splitRows } from "../split_rows.ts";
import type { Addition } from "../weights.ts";
import { assertLoraShapes, type MatchedModule } from "./assert_lora_shapes.ts";
import type { LoraRules } from "./lora_rules.ts";
import { type FindLoraTargets, type LoraTarget, loraTargets } from "./lora_targets.ts";
import { type LoraModule, readLora } from "./read_lora.ts";

/** An addition and the tensor that it changes. */
interface PlacedAddition {
  component: string;
  tensor: string;
  addition: Addition;
}

/**
 * Returns the checkpoint with LoRAs. Several LoRAs are summed: W + sum of weight * alpha / rank * B A.
 * DoRA (arXiv 2402.09353) also gives the rows of the sum with its own B A the lengths that the file stores.
 * @param rules those of the checkpoint's family
 * @throws {CheckpointError} if a file is damaged, has shapes other than the checkpoint's, or names a module
 * that the checkpoint lacks: pictures would then miss a part of the training.
 */
export function applyLoras(
  checkpoint: Checkpoint,
  loras: readonly Lora[],
  rules: LoraRules = {},
): Checkpoint {
  if (loras.length === 0) return checkpoint;
  const additions: Additions = new Map();
  const notes: string[] = [];
  for (const { path, weight, second } of loras) {
    if (second && checkpoint.componentClass("transformer_2") === undefined) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as @2 needs a second denoiser, ` +
          `but ${checkpoint.folder} has no transformer_2`,
      );
    }
    const find = loraTargets(checkpoint, { second, rules });
    const file = readLora(path, rules);
    notes.push(...file.notes);
    for (const matched of matchModules(file.modules, { path, find, folder: checkpoint.folder })) {
      assertLoraShapes(path, { ...matched, rules });
      for (const { component, tensor, addition } of additionsOf(matched, weight)) {
        const tensors = additions.get(component) ?? new Map<string, Addition[]>();
        additions.set(component, tensors.set(tensor, [...tensors.get(tensor) ?? [], addition]));
      }
    }
  }
  return checkpoint.withLoras(loras, { additions, notes });
}

function matchModules(
  modules: readonly LoraModule[],
  { path, find, folder }: { path: string; find: FindLoraTargets; folder: string },
): MatchedModule[] {
  const matches = modules.map((module) => ({ module, targets: find(module.name) ?? [] }));
  const unmatched = matches.filter(({ targets }) => targets.length === 0);
  if (unmatched.length === 0) return matches;
  throw new CheckpointError(
    `Cannot use LoRA ${path} as ${folder} has no place for '${showValue(unmatched[0]!.module.name)}'${
      unmatched.length > 1 ? ` and ${unmatched.length - 1} more` : ""
    }`,
  );
}

/** Returns what a module adds to its targets. A fused layer's rows belong to the targets in turn. */
function additionsOf({ module, targets }: MatchedModule, weight: number): PlacedAddition[] {
  const { change, scale, bias } = module;
  const counts = targets.map(({ shape }) => shape[0]!);
  const changes = splitChange(change, counts);
  const biases = bias && splitRows(bias.entry, counts);
  return targets.flatMap((target, i) => {
    const { component, swapped = false } = target;
    const added = [{
      component,
      tensor: target.weight,
      addition: { scale: weight * scale, swapped, ...changes[i]! } as Addition,
    }];
    if (bias !== undefined) {
      const addition = { scale: weight * bias.scale, swapped, whole: biases![i]! };
      added.push({ component, tensor: biasOf(target), addition });
    }
    return added;
  });
}

/** Returns the change of each target's own rows. */
function splitChange(change: LoraModule["change"], counts: readonly number[]) {
  if ("left" in change) {
    return counts.map((_, i) => ({
      ...change,
      firstRow: counts.slice(0, i).reduce((sum, count) => sum + count, 0),
    }));
  }
  if ("whole" in change) return splitRows(change.whole, counts).map((whole) => ({ whole }));
  const { down, up, magnitude } = change;
  const lengths = magnitude && splitRows(magnitude, counts);
  return splitRows(up, counts).map((rows, i) => ({
    down,
    up: rows,
    ...lengths && { magnitude: lengths[i]! },
  }));
}

/** A linear layer without a bias gets one, as in peft. */
function biasOf({ bias, weight }: LoraTarget): string {
  return bias ?? weight.replace(/weight$/, "bias");
}
