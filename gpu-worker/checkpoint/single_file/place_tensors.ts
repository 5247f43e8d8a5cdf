// Gives the tensors of a file diffusers' names, shapes and order. The bytes stay where they are.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { splitRows } from "../split_rows.ts";
import type { WeightEntry, Weights } from "../weights.ts";
import type { Layout, Place } from "./layout.ts";

export interface PlacedTensors {
  weights: Weights;
  /** Names, without the prefix, that the layout does not know. */
  unknown: string[];
}

/**
 * Places the tensors of one network.
 * @param tensors the network's tensors, named without the prefix
 * @throws {CheckpointError} if a tensor cannot be split as the layout says, or two tensors have one place.
 */
export function placeTensors(tensors: Weights, layout: Layout): PlacedTensors {
  const find = layout.place(tensors);
  const weights = new Map<string, WeightEntry>();
  const unknown: string[] = [];
  for (const [name, entry] of tensors) {
    const place = find(name);
    if (place === undefined) unknown.push(name);
    if (place === undefined || place === "unused") continue;
    for (const [to, part] of partsOf(name, { entry, place })) {
      if (weights.has(to)) {
        throw new CheckpointError(
          `Cannot use ${entry.path} as '${showValue(name)}' and another tensor are both '${showValue(to)}'`,
        );
      }
      weights.set(to, part);
    }
  }
  for (const [name, entry] of layout.implied?.(weights) ?? []) weights.set(name, entry);
  return { weights, unknown };
}

function partsOf(
  name: string,
  { entry, place }: { entry: WeightEntry; place: Place },
): [string, WeightEntry][] {
  const { to, order } = place;
  const whole = { ...entry, shape: shapeOf(entry, place), ...order && { order } };
  if (to.length === 1) return [[to[0]!, whole]];
  const { shares = to.map(() => 1) } = place;
  const unit = (entry.shape[0] ?? 0) / shares.reduce((sum, share) => sum + share, 0);
  if (!Number.isInteger(unit)) {
    throw new CheckpointError(
      `Cannot use '${showValue(name)}' in ${entry.path} as its rows must divide into ${
        shares.join(" + ")
      } parts: its shape is [${entry.shape}]`,
    );
  }
  const parts = splitRows(whole, shares.map((share) => share * unit));
  return parts.map((part, i) => [to[i]!, part]);
}

function shapeOf({ shape }: WeightEntry, { matrix, frame, order }: Place): readonly number[] {
  if (frame === true && shape.length === 5 && shape[2] === 1) return shape.toSpliced(2, 1);
  if (matrix === true && shape.length > 2 && shape.slice(2).every((n) => n === 1)) return shape.slice(0, 2);
  return order === "transposed" ? shape.toReversed() : shape;
}
