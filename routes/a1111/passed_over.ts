// Fields of AUTOMATIC1111's API that change a picture there and have no effect here. Front ends send most of
// them with every request, so only values that would do something are reported.
import type { Txt2imgRequest } from "./txt2img_request.ts";

const isOn = (value: unknown) => value === true;
const isPositive = (value: unknown) => typeof value === "number" && value > 0;
const isNamed = (value: unknown) =>
  typeof value === "string" && !["", "none", "automatic"].includes(value.toLowerCase());
const isFilled = (value: unknown) => Array.isArray(value) && value.length > 0;

const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  enable_hr: isOn,
  restore_faces: isOn,
  tiling: isOn,
  styles: isFilled,
  subseed_strength: isPositive,
  seed_resize_from_h: isPositive,
  seed_resize_from_w: isPositive,
  refiner_checkpoint: isNamed,
  script_name: isNamed,
  s_churn: isPositive,
};
const OVERRIDES: Readonly<Record<string, (value: unknown) => boolean>> = {
  CLIP_stop_at_last_layers: (value) => isPositive(value) && value !== 1,
  sd_vae: isNamed,
};
/** Scripts that are read. */
const SCRIPTS = ["controlnet"];

const BRACKETS = /\[([^[\]]*)\]/g;
/** [from:to:0.5] and [to:0.5]: other words from a step on. */
const EDITING = /:\s*[\d.]+\s*$/;
const COMPOSITION = /\bAND\b/;

/** Returns a sentence for each kind of field or syntax that the picture does not follow. */
export function passedOver(request: Txt2imgRequest, prompt: string): string[] {
  const { alwayson_scripts: scripts = {} } = request;
  const overrides: Readonly<Record<string, unknown>> = request.override_settings ?? {};
  const names = [
    ...Object.keys(FIELDS).filter((name) => FIELDS[name]!(request[name])),
    ...Object.keys(OVERRIDES).filter((name) => OVERRIDES[name]!(overrides[name])),
    ...Object.entries(scripts).filter(([name, script]) =>
      !SCRIPTS.includes(name.toLowerCase()) && isFilled((script as { args?: unknown } | undefined)?.args)
    ).map(([name]) => name.slice(0, 60)),
  ];
  return [
    ...names.length > 0 ? [`No effect here: ${names.slice(0, 20).join(", ")}.`] : [],
    ...hasEditing(prompt) ? ["The words in [from:to:when] and [a|b] are read as plain words."] : [],
    ...COMPOSITION.test(prompt) ? ["AND is read as a plain word."] : [],
  ];
}

/** Brackets of which the words change on the way. Linear in the length: every client may send it. */
function hasEditing(prompt: string): boolean {
  return prompt.matchAll(BRACKETS).some(([, inner]) => inner!.includes("|") || EDITING.test(inner!));
}
