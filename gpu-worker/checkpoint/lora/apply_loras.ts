// Adds LoRAs to a checkpoint. Its tensors then carry the additions, and every
// graph built from it applies them.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { splitRows } from "../split_rows.ts";
import type { Addition, KroneckerFactor } from "../weights.ts";
import type { Additions, Checkpoint } from "../checkpoint.ts";
import type { Lora } from "../../../protocol/wire/model_name.ts";
import { type LoraTarget, loraTargets, type LoraTargetsOptions } from "./lora_targets.ts";
import { type LoraModule, readLora } from "./read_lora.ts";

/** Channels of a FLUX latent, in patches. */
const FLUX_CHANNELS = 64;

/** The family's part in reading LoRAs. */
export type ApplyLorasOptions = Pick<LoraTargetsOptions, "originalNames">;

/**
 * Returns the checkpoint with LoRAs. Several LoRAs are summed: W + sum of weight * alpha / rank * B A.
 * DoRA (arXiv 2402.09353) also gives the rows of the sum with its own B A the lengths that the file stores.
 * @throws {CheckpointError} if a file is damaged, has shapes other than the checkpoint's, or names a module
 * that the checkpoint lacks: pictures would then miss a part of the training.
 */
export function applyLoras(
  checkpoint: Checkpoint,
  loras: readonly Lora[],
  { originalNames }: ApplyLorasOptions = {},
): Checkpoint {
  if (loras.length === 0) return checkpoint;
  const denoiserClass = checkpoint.componentClass("transformer") ?? checkpoint.componentClass("unet");
  const additions: Additions = new Map();
  const notes: string[] = [];
  const add = ({ component }: LoraTarget, tensor: string, addition: Addition) => {
    const tensors = additions.get(component) ?? new Map<string, Addition[]>();
    additions.set(component, tensors.set(tensor, [...tensors.get(tensor) ?? [], addition]));
  };
  for (const { path, weight, second } of loras) {
    if (second && checkpoint.componentClass("transformer_2") === undefined) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as @2 needs a second denoiser, ` +
          `but ${checkpoint.folder} has no transformer_2`,
      );
    }
    const find = loraTargets(checkpoint, { second, originalNames });
    const isFlux = denoiserClass === "FluxTransformer2DModel";
    const file = readLora(path, { denoiserClass });
    notes.push(...file.notes);
    const modules = file.modules.map((module) => ({ module, targets: find(module.name) }));
    const unmatched = modules.filter(({ targets }) => targets === undefined);
    if (unmatched.length > 0) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as ${checkpoint.folder} has no place for '${
          showValue(unmatched[0]!.module.name)
        }'${unmatched.length > 1 ? ` and ${unmatched.length - 1} more` : ""}`,
      );
    }
    for (const { module, targets = [] } of modules) {
      const { change, bias } = module;
      const scale = weight * module.scale;
      assertShapes(path, { module, targets, isFlux });
      const counts = targets.map(({ shape }) => shape[0]!);
      const split = "whole" in change ? change.whole : "up" in change ? change.up : undefined;
      const rows = split && splitRows(split, counts);
      const biases = bias && splitRows(bias.entry, counts);
      const lengths = "magnitude" in change ? splitRows(change.magnitude!, counts) : undefined;
      let firstRow = 0;
      for (const [i, target] of targets.entries()) {
        const swapped = target.swapped === true;
        add(target, target.weight, {
          scale,
          swapped,
          ..."left" in change
            ? { left: change.left, right: change.right, firstRow }
            : "whole" in change
            ? { whole: rows![i]! }
            : { down: change.down, up: rows![i]!, ...lengths && { magnitude: lengths[i]! } },
        });
        firstRow += counts[i]!;
        if (bias === undefined) continue;
        add(target, biasOf(target), { scale: weight * bias.scale, swapped, whole: biases![i]! });
      }
    }
  }
  return checkpoint.withLoras(loras, { additions, notes });
}

/** A linear layer without a bias gets one, as in peft. */
function biasOf({ bias, weight }: LoraTarget): string {
  return bias ?? weight.replace(/weight$/, "bias");
}

function assertShapes(
  path: string,
  { module, targets, isFlux }: { module: LoraModule; targets: readonly LoraTarget[]; isFlux: boolean },
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
    if (String(change.whole.shape) !== String(expected)) throw refuse(`the shape [${change.whole.shape}]`);
  } else {
    const { down, up } = change;
    const [rank = 0, ...columns] = down.shape;
    const isUp = up.shape[0] === rows && up.shape[1] === rank && up.shape.slice(2).every((n) => n === 1) &&
      up.shape.length === expected.length;
    // FLUX.1 Fill reads a mask and an image behind the latents. diffusers fills up LoRAs with zeros for it.
    const isNarrow = isFlux && targets[0]!.weight === "x_embedder.weight" && expected[1]! > FLUX_CHANNELS &&
      String(columns) === String([FLUX_CHANNELS]);
    if (rank === 0 || !isNarrow && String(columns) !== String(expected.slice(1)) || !isUp) {
      throw refuse(`the shapes [${up.shape}] and [${down.shape}]`);
    }
    const lengths = change.magnitude?.shape;
    if (lengths !== undefined && String(lengths) !== String([rows])) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as the magnitude of '${
          showValue(name)
        }' must have ${rows} elements, but has the shape [${lengths}]`,
      );
    }
  }
  if (bias === undefined) return;
  const bare = targets.find((target) => target.bias === undefined && target.shape.length !== 2);
  if (bare !== undefined) {
    throw new CheckpointError(
      `Cannot use LoRA ${path} as '${
        showValue(name)
      }' changes a bias, which ${bare.component}'s ${bare.weight} goes without`,
    );
  }
  if (String(bias.entry.shape) !== String([rows])) {
    throw new CheckpointError(
      `Cannot use LoRA ${path} as the bias of '${
        showValue(name)
      }' must have the shape [${rows}], but has [${bias.entry.shape}]`,
    );
  }
}

/** Checks the shapes of LoKr's factors: matrices whose Kronecker product has the shape `expected`. */
function assertFactors(
  { left, right }: Extract<LoraModule["change"], { left: KroneckerFactor }>,
  { expected, refuse }: { expected: readonly number[]; refuse: (has: string) => CheckpointError },
): void {
  const shapes = [left, right].map((factor) => {
    const parts = "whole" in factor ? [factor.whole] : [factor.up, factor.down];
    const [first, last] = [parts[0]!.shape, parts.at(-1)!.shape];
    const inner = parts.length === 1 || (first[1] === last[0] && first[1]! > 0);
    return inner && parts.every(({ shape }) => shape.length === 2) ? [first[0]!, last[1]!] : undefined;
  });
  const [a, b] = shapes;
  const product = a && b && [a[0]! * b[0]!, a[1]! * b[1]!];
  if (String(product) === String(expected)) return;
  const partsOf = (factor: KroneckerFactor) =>
    "whole" in factor ? `[${factor.whole.shape}]` : `[${factor.up.shape}] x [${factor.down.shape}]`;
  throw refuse(`the factors ${partsOf(left)} and ${partsOf(right)}`);
}
