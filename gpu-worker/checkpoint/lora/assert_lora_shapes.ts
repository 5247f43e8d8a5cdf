// Checks that a LoRA's matrices have the shapes of the tensors that they change.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import type { KroneckerFactor } from "../weights.ts";
import type { LoraRules } from "./lora_rules.ts";
import type { LoraTarget } from "./lora_targets.ts";
import type { LoraModule } from "./read_lora.ts";

/** A module of a file, and the tensors of the checkpoint that it changes: at least one. */
export interface MatchedModule {
  module: LoraModule;
  targets: readonly LoraTarget[];
}

type Matrices = Extract<LoraModule["change"], { up: unknown }>;
type Factors = Extract<LoraModule["change"], { left: unknown }>;

interface Expectation {
  /** The shape of all targets together, which have their rows one below the other. */
  expected: readonly number[];
  refuse(has: string): CheckpointError;
}

/**
 * Checks a module's matrices against the tensors that they change.
 * @throws {CheckpointError} naming the module and both shapes where they differ.
 */
export function assertLoraShapes(
  path: string,
  { module, targets, rules: { wideLayer } }: MatchedModule & { rules: LoraRules },
): void {
  const { name, change, bias } = module;
  const rows = targets.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const expected = [rows, ...targets[0]!.shape.slice(1)];
  const places = targets.map(({ component, weight }) => `${component}'s ${weight}`).join(", ");
  const refuse = (has: string) =>
    new CheckpointError(
      `Cannot use LoRA ${path} as '${
        showValue(name)
      }' has ${has}: they must make [${expected}], the shape of ${places}`,
    );
  if ("left" in change) {
    assertFactors(change, { expected, refuse });
  } else if ("whole" in change) {
    if (!isEqual(change.whole.shape, expected)) throw refuse(`the shape [${change.whole.shape}]`);
  } else {
    const isWide = targets[0]!.weight === wideLayer?.weight && expected[1]! > wideLayer.columns;
    assertMatrices(change, { expected, refuse, fewer: isWide ? [wideLayer.columns] : undefined });
    const lengths = change.magnitude?.shape;
    if (lengths !== undefined && !isEqual(lengths, [rows])) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as the magnitude of '${
          showValue(name)
        }' must have ${rows} elements, but has the shape [${lengths}]`,
      );
    }
  }
  if (bias !== undefined) assertBias(path, { name, targets, shape: bias.entry.shape, rows });
}

/** Checks the shapes of LoKr's factors: matrices whose Kronecker product has the expected shape. */
function assertFactors({ left, right }: Factors, { expected, refuse }: Expectation): void {
  const shapes = [left, right].map((factor) => {
    const parts = "whole" in factor ? [factor.whole] : [factor.up, factor.down];
    const [first, last] = [parts[0]!.shape, parts.at(-1)!.shape];
    const inner = parts.length === 1 || (first[1] === last[0] && first[1]! > 0);
    return inner && parts.every(({ shape }) => shape.length === 2) ? [first[0]!, last[1]!] : undefined;
  });
  const [a, b] = shapes;
  const product = a && b && [a[0]! * b[0]!, a[1]! * b[1]!];
  if (product !== undefined && isEqual(product, expected)) return;
  const partsOf = (factor: KroneckerFactor) =>
    "whole" in factor ? `[${factor.whole.shape}]` : `[${factor.up.shape}] x [${factor.down.shape}]`;
  throw refuse(`the factors ${partsOf(left)} and ${partsOf(right)}`);
}

/**
 * Checks the shapes of a low-rank product: [rank, ...] below and [rows, rank] above, with ones for a
 * convolution.
 * @param fewer a number of columns that is allowed too
 */
function assertMatrices(
  { down, up }: Matrices,
  { expected: [rows, ...columns], refuse, fewer }: Expectation & { fewer: readonly number[] | undefined },
): void {
  const [rank = 0, ...reads] = down.shape;
  const fits = isEqual(reads, columns) || (fewer !== undefined && isEqual(reads, fewer));
  const writes = [rows, rank, ...columns.slice(1).map(() => 1)];
  if (rank > 0 && fits && isEqual(up.shape, writes)) return;
  throw refuse(`the shapes [${up.shape}] and [${down.shape}]`);
}

function assertBias(
  path: string,
  { name, targets, shape, rows }: {
    name: string;
    targets: readonly LoraTarget[];
    shape: readonly number[];
    rows: number;
  },
): void {
  const bare = targets.find((target) => target.bias === undefined && target.shape.length !== 2);
  if (bare !== undefined) {
    throw new CheckpointError(
      `Cannot use LoRA ${path} as '${
        showValue(name)
      }' changes a bias, which ${bare.component}'s ${bare.weight} goes without`,
    );
  }
  if (!isEqual(shape, [rows])) {
    throw new CheckpointError(
      `Cannot use LoRA ${path} as the bias of '${
        showValue(name)
      }' must have the shape [${rows}], but has [${shape}]`,
    );
  }
}

function isEqual(shape: readonly (number | undefined)[], other: readonly (number | undefined)[]): boolean {
  return String(shape) === String(other);
}
