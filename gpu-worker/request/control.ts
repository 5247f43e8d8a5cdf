// ControlNet: an image that says where things are, such as edges or depth. Source: diffusers' ControlNet
// pipelines (controlnet_conditioning_scale, control_guidance_start, control_guidance_end, control_mode).
import { showValue } from "../../sampler/mod.ts";
import type { DecodedImage, ImageSize } from "../media/decoded_image.ts";
import { badField } from "./bad_field.ts";

/** The ControlNet of a run. Its image's size is enough to complete a request. */
export interface Control<Image extends ImageSize = DecodedImage> {
  /** Name of the ControlNet. */
  name: string;
  /** The control image, in the size of the picture to make. */
  image: Image;
  /** Factor of what the ControlNet adds to the denoiser. */
  scale: number;
  /** Share of the steps before the ControlNet begins, 0..1. */
  start: number;
  /** Share of the steps at which the ControlNet ends, 0..1. */
  end: number;
  /** The kind of control image, for a union of ControlNets. */
  mode?: number;
}

/** A ControlNet that requests may name. */
export interface ControlNetRules {
  name: string;
  /**
   * Number of kinds of control images that a union of ControlNets reads. @default 0, one kind that needs no
   * number
   */
  modes?: number;
}

/** The ControlNet's fields of a request. */
export interface PartialControl<Image extends ImageSize = DecodedImage> {
  /** Name of the ControlNet. @default the model's only one */
  controlNet?: string | undefined;
  controlImage?: Image | undefined;
  /** @default 1 */
  controlScale?: number | undefined;
  /** @default 0 */
  controlStart?: number | undefined;
  /** @default 1 */
  controlEnd?: number | undefined;
  controlMode?: number | undefined;
}

const MAX_SCALE = 10;

/** The fields that say how a control image is used. */
const WITH_IMAGE = ["controlNet", "controlScale", "controlStart", "controlEnd", "controlMode"] as const;

/**
 * Checks the ControlNet's fields.
 * @param context.nets the model's ControlNets
 * @param context.crops whether a part of the picture is drawn at full size
 * @returns undefined for a run without a control image
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeControl<Image extends ImageSize>(
  partial: PartialControl<Image>,
  { width, height, nets = [], crops }: ImageSize & {
    nets?: readonly ControlNetRules[] | undefined;
    crops: boolean;
  },
): Control<Image> | undefined {
  const { controlImage: image, controlScale: scale = 1, controlStart: start = 0, controlEnd: end = 1 } =
    partial;
  if (image === undefined) {
    const given = WITH_IMAGE.find((field) => partial[field] !== undefined);
    if (given === undefined) return undefined;
    throw badField(given, (quote) => `takes ${quote("controlImage")}: there is none`);
  }
  if (nets.length === 0) {
    throw badField("controlImage", "must be absent with this model, which has no ControlNet");
  }
  const { name, modes = 0 } = chosen(nets, partial.controlNet);
  if (crops) {
    throw badField("paddingMaskCrop", (quote) => `does not go together with ${quote("controlImage")}`);
  }
  if (image.width !== width || image.height !== height) {
    throw badField(
      "controlImage",
      `must be ${width}x${height} pixels: it is ${image.width}x${image.height}`,
    );
  }
  checkRange("controlScale", scale, MAX_SCALE);
  checkRange("controlStart", start, 1);
  checkRange("controlEnd", end, 1);
  if (start >= end) {
    throw badField(
      "controlStart",
      (quote) => `must be below ${quote("controlEnd")} (${end}), but is ${start}`,
    );
  }
  const mode = completeMode(partial.controlMode, { name, modes });
  return { name, image, scale, start, end, ...mode !== undefined && { mode } };
}

/** Returns whether diffusers runs the ControlNet at a step. Elsewhere it multiplies the residuals by 0. */
export function controlsStep(
  { start, end }: Pick<Control, "start" | "end">,
  { step, steps }: { step: number; steps: number },
): boolean {
  return step / steps >= start && (step + 1) / steps <= end;
}

function chosen(nets: readonly ControlNetRules[], name: string | undefined): ControlNetRules {
  const found = name === undefined && nets.length === 1 ? nets[0] : nets.find((net) => net.name === name);
  if (found !== undefined) return found;
  const known = nets.map((net) => net.name).join(", ");
  throw badField(
    "controlNet",
    `must be one of ${known}: current value is ${name === undefined ? "absent" : showValue(name)}`,
  );
}

function completeMode(mode: number | undefined, { name, modes = 0 }: ControlNetRules): number | undefined {
  if (modes === 0) {
    if (mode === undefined) return undefined;
    throw badField("controlMode", `must be absent with ${name}, which has one mode, but is ${mode}`);
  }
  if (Number.isInteger(mode) && mode! >= 0 && mode! < modes) return mode;
  throw badField(
    "controlMode",
    `must be a whole number in 0..${modes - 1} with ${name}, but is ${mode ?? "absent"}`,
  );
}

function checkRange(field: string, value: unknown, max: number): void {
  if (typeof value === "number" && value >= 0 && value <= max) return;
  throw badField(field, `must be in 0..${max}: current value is ${value}`);
}
