// Skip-layer guidance of Stable Diffusion 3.5: early steps are pushed away from what the network makes without some of
// its blocks, which mends anatomy (StableDiffusion3Pipeline's skip_guidance_layers and its companions).

export interface SkipLayerGuidance {
  /** Indices of the blocks to skip; SD3.5-Medium was published with 7, 8, 9. */
  layers: readonly number[];
  /** @default 2.8 */
  scale: number;
  /** Share of the steps behind which it begins, 0..1. @default 0.01 */
  start: number;
  /** Share of the steps before which it ends, 0..1. @default 0.2 */
  stop: number;
}

/** What a request may leave open. */
export type PartialSkipLayerGuidance =
  & Pick<SkipLayerGuidance, "layers">
  & { [K in Exclude<keyof SkipLayerGuidance, "layers">]?: SkipLayerGuidance[K] | undefined };

export interface SkipLayerRules {
  /** Blocks that the network has; 0 where the family knows no skipping. */
  skippableLayers: number;
  guidanceScale: number;
}

/**
 * Fills in diffusers' defaults.
 * @throws {RangeError} naming the field, the rule and the value.
 */
export function completeSkipLayerGuidance(
  { layers, scale = 2.8, start = 0.01, stop = 0.2 }: PartialSkipLayerGuidance,
  { skippableLayers, guidanceScale }: SkipLayerRules,
): SkipLayerGuidance {
  const refuse = (rule: string, value: unknown) => {
    throw new RangeError(`Cannot generate as 'skipLayerGuidance' ${rule}: current value is ${value}`);
  };
  if (skippableLayers === 0) refuse("is not known to this family", `layers ${layers}`);
  if (guidanceScale <= 1) refuse("takes 'guidanceScale' > 1", guidanceScale);
  const known = (layer: number) => Number.isInteger(layer) && layer >= 0 && layer < skippableLayers;
  if (layers.length === 0 || !layers.every(known)) {
    refuse(`takes layers in 0..${skippableLayers - 1}`, `[${layers}]`);
  }
  if (!(scale >= 0 && scale <= 100)) refuse("takes a scale in 0..100", scale);
  if (!(start >= 0 && start <= stop && stop <= 1)) {
    refuse("takes 0 <= start <= stop <= 1", `${start}..${stop}`);
  }
  return { layers, scale, start, stop };
}

/** Whether `step` (0-based) of so many is guided, as diffusers decides it. */
export function guidesStep(
  { start, stop }: SkipLayerGuidance,
  { step, steps }: { step: number; steps: number },
): boolean {
  return step > steps * start && step < steps * stop;
}
