// Adds LoRAs to a checkpoint: its tensors then carry what is to be added, and every graph built from it has them.
import { CheckpointError } from "../checkpoint_error.ts";
import type { LowRankAddition, WeightEntry } from "../weights.ts";
import type { Additions, Checkpoint } from "../checkpoint.ts";
import type { Lora } from "../model_name.ts";
import { type LoraTarget, loraTargets } from "./lora_targets.ts";
import { type LoraModule, readLora } from "./read_lora.ts";

/**
 * Several LoRAs are summed: W + sum of weight * alpha / rank * B A.
 * @throws {CheckpointError} if a file is damaged, names a module that the checkpoint has not (nothing is left out silently),
 * or has other shapes than the checkpoint.
 */
export function applyLoras(checkpoint: Checkpoint, loras: readonly Lora[]): Checkpoint {
  if (loras.length === 0) return checkpoint;
  const find = loraTargets(checkpoint);
  const additions: Additions = new Map();
  for (const { path, weight } of loras) {
    const modules = readLora(path).map((module) => ({ module, targets: find(module.name) }));
    const unmatched = modules.filter(({ targets }) => targets === undefined);
    if (unmatched.length > 0) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as ${checkpoint.folder} has no place for '${unmatched[0]!.module.name}'${
          unmatched.length > 1 ? ` and ${unmatched.length - 1} more` : ""
        }`,
      );
    }
    for (const { module, targets = [] } of modules) {
      for (const [i, up] of splitRows(path, { module, targets }).entries()) {
        const { component, weight: tensor } = targets[i]!;
        const tensors = additions.get(component) ?? new Map<string, LowRankAddition[]>();
        const addition = { down: module.down, up, scale: weight * module.scale };
        additions.set(component, tensors.set(tensor, [...tensors.get(tensor) ?? [], addition]));
      }
    }
  }
  return checkpoint.withLoras(loras, additions);
}

/** B of each target: rows are contiguous in the file, so that of a fused one each is a range of bytes. */
function splitRows(
  path: string,
  { module, targets }: { module: LoraModule; targets: readonly LoraTarget[] },
): WeightEntry[] {
  const { name, down, up } = module;
  const [rank = 0, ...columns] = down.shape;
  const rows = targets.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const expected = [rows, ...targets[0]!.shape.slice(1)];
  const isUp = up.shape[0] === rows && up.shape[1] === rank && up.shape.slice(2).every((n) => n === 1) &&
    up.shape.length === expected.length;
  if (rank === 0 || String(columns) !== String(expected.slice(1)) || !isUp) {
    throw new CheckpointError(
      `Cannot use LoRA ${path} as '${name}' has the shapes [${up.shape}] and [${down.shape}]: ` +
        `they must make [${expected}], the shape of ${
          targets.map(({ component, weight }) => `${component}'s ${weight}`).join(", ")
        }`,
    );
  }
  const rowBytes = up.byteLength / rows;
  let offset = up.offset;
  return targets.map(({ shape }) => {
    const byteLength = shape[0]! * rowBytes;
    const part = { ...up, shape: [shape[0]!, ...up.shape.slice(1)], offset, byteLength };
    offset += byteLength;
    return part;
  });
}
