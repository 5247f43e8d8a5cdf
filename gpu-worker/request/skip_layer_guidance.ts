// Skip-layer guidance of Stable Diffusion 3.5. Early steps are pushed away from the output
// of the network without some of its blocks, which improves anatomy
// (StableDiffusion3Pipeline's skip_guidance_layers and related arguments).

import type { SpellOption } from "../../sampler/mod.ts";
import { badField } from "./bad_field.ts";

export interface SkipLayerGuidance {
  /** Indices of the blocks to skip; SD3.5-Medium was published with 7, 8, 9. */
  layers: readonly number[];
  /** @default 2.8 */
  scale: number;
  /** Share of the steps after which guidance begins, 0..1. @default 0.01 */
  start: number;
  /** Share of the steps at which guidance ends, 0..1. @default 0.2 */
  stop: number;
}

/** Skip-layer guidance as a request gives it. */
export type PartialSkipLayerGuidance =
  & Pick<SkipLayerGuidance, "layers">
  & { [K in Exclude<keyof SkipLayerGuidance, "layers">]?: SkipLayerGuidance[K] | undefined };

export interface SkipLayerRules {
  /** Number of blocks in the network; 0 for families without skip-layer guidance. */
  skippableLayers: number;
  guidanceScale: number;
}

/**
 * Returns skip-layer guidance with diffusers' defaults filled in.
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeSkipLayerGuidance(
  { layers, scale = 2.8, start = 0.01, stop = 0.2 }: PartialSkipLayerGuidance,
  { skippableLayers, guidanceScale }: SkipLayerRules,
): SkipLayerGuidance {
  const refuse = (rule: string | ((quote: SpellOption) => string), value: unknown) => {
    throw badField(
      "skipLayerGuidance",
      (quote) => `${typeof rule === "string" ? rule : rule(quote)}: current value is ${value}`,
    );
  };
  if (skippableLayers === 0) refuse("is not known to this family", `layers ${layers}`);
  if (guidanceScale <= 1) refuse((quote) => `takes ${quote("guidanceScale")} > 1`, guidanceScale);
  const known = (layer: number) => Number.isInteger(layer) && layer >= 0 && layer < skippableLayers;
  if (layers.length === 0 || !layers.every(known)) {
    refuse(`takes layers in 0..${skippableLayers - 1}`, `[${layers}]`);
  }
  if (!(scale >= 0 && scale <= 100)) refuse("must have a scale in 0..100", scale);
  if (!(start >= 0 && start <= stop && stop <= 1)) {
    refuse("must have 0 <= start <= stop <= 1", `${start}..${stop}`);
  }
  return { layers, scale, start, stop };
}

/** Returns whether diffusers would guide `step` (0-based) of `steps`. */
export function guidesStep(
  { start, stop }: SkipLayerGuidance,
  { step, steps }: { step: number; steps: number },
): boolean {
  return step > steps * start && step < steps * stop;
}
