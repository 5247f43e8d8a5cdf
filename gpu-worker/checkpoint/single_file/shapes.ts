// Reads sizes off the tensors of a network, which has diffusers' names.
import { CheckpointError } from "../checkpoint_error.ts";
import type { Weights } from "../weights.ts";

/** Returns a dimension of the tensor `name`. @throws {CheckpointError} if the tensor is missing. */
export function sizeOf(weights: Weights, name: string, dimension: number): number {
  const size = weights.get(name)?.shape[dimension];
  if (size !== undefined) return size;
  const path = weights.values().next().value?.path ?? "the file";
  throw new CheckpointError(`Cannot use ${path} as it lacks the tensor that diffusers calls '${name}'`);
}

/**
 * Returns the number of modules `prefix`0, `prefix`1 ... that have tensors. Higher numbers than any network
 * has are not counted, so that no file makes us build without end.
 */
export function countOf(weights: Weights, prefix: string): number {
  const numbers = new Set<number>();
  for (const name of weights.keys()) {
    if (!name.startsWith(prefix)) continue;
    const number = /^\d{1,3}(?=\.)/.exec(name.slice(prefix.length))?.[0];
    if (number !== undefined) numbers.add(Number(number));
  }
  return numbers.size;
}

/** Returns whether a tensor's name begins with `prefix`. */
export function hasUnder(weights: Weights, prefix: string): boolean {
  return weights.keys().some((name) => name.startsWith(prefix));
}
