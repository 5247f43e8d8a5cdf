// The flags --control-image and its companions: an image that a ControlNet follows.
import { UsageError } from "../../protocol/process/usage_error.ts";
import type { FlagKind, Flags } from "../../protocol/process/read_flags.ts";
import { decodeImage } from "../media/decode_image.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { PartialControl } from "../request/control.ts";
import { readImageBytes, sha256 } from "./image_file.ts";

export const CONTROL_FLAGS = {
  "control-image": "text",
  "control-scale": "number",
  "control-start": "number",
  "control-end": "number",
  "control-mode": "number",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const CONTROL_HELP = `\
  --control-image FILE     picture that the ControlNet of --controlnet follows, resized to the result's size
  --control-scale X        strength of the ControlNet (1)
  --control-start X --control-end X   shares of the steps between which it runs (0, 1)
  --control-mode N         kind of the control picture, for a union of ControlNets`;

export interface ControlArguments extends Omit<PartialControl, "controlImage" | "controlNet"> {
  /** Path of a file. */
  path: string;
}

/**
 * Reads the flags of a control image.
 * @throws {UsageError} if there is another flag of the control image without the image.
 */
export function readControlFlags(flags: Flags<typeof CONTROL_FLAGS>): ControlArguments | undefined {
  const path = flags["control-image"];
  if (path === undefined) {
    const given = (Object.keys(CONTROL_FLAGS) as (keyof typeof CONTROL_FLAGS)[])
      .find((flag) => flags[flag] !== undefined);
    if (given !== undefined) throw new UsageError(`--${given} takes --control-image`);
    return undefined;
  }
  return {
    path,
    controlScale: flags["control-scale"],
    controlStart: flags["control-start"],
    controlEnd: flags["control-end"],
    controlMode: flags["control-mode"],
  };
}

export interface OpenedControl {
  image: DecodedImage;
  /** SHA-256 of the file, in hex. */
  sha256: string;
}

/**
 * Reads the control image.
 * @param size what it is resized to: the start image's size, or what the request asks for
 * @throws {ImageError | OptionError} if the file cannot be read, is no image, or is too large.
 */
export async function openControlImage(
  path: string,
  size: { width?: number | undefined; height?: number | undefined; multiple: number },
): Promise<OpenedControl> {
  const bytes = await readImageBytes(path, "control_image");
  return { image: await decodeImage(bytes, { ...size, field: "control_image" }), sha256: sha256(bytes) };
}

/** Returns the fields of a request with an opened control image. */
export function controlFields(
  opened: OpenedControl | undefined,
  given: ControlArguments | undefined,
): PartialControl {
  if (opened === undefined || given === undefined) return {};
  const { path: _path, ...fields } = given;
  const asked = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  return { controlImage: opened.image, ...asked };
}
