// The flags --image, --strength and --mask: a picture to start from instead of noise, and the places of it
// to draw anew. With models that look at pictures, --image names these.
// For a video, --image and --last-image are its first and last frame.
import { UsageError } from "../../protocol/process/usage_error.ts";
import { MASK_MODES, type MaskMode } from "../../protocol/wire/generation_fields.ts";
import { decodeImage, type DecodeImageOptions } from "../media/decode_image.ts";
import { assertSameShape, type DecodedMask, decodeMask, readMaskSize } from "../media/decode_mask.ts";
import type { ImageFieldName } from "../media/image_error.ts";
import { readImageHeader } from "../media/image_header.ts";
import { noMask, type ReferenceImage } from "../request/references.ts";
import type { RequestRules } from "../request/request_rules.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import { readImageBytes, sha256 } from "./image_file.ts";
import type { FlagKind, Flags } from "../../protocol/process/read_flags.ts";
import type { FrameImage } from "../request/video_frames.ts";

export const IMAGE_FLAGS = {
  "image": "texts",
  "last-image": "text",
  "strength": "number",
  "mask": "text",
  "mask-mode": "text",
  "mask-blur": "number",
  "padding-mask-crop": "number",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const IMAGE_HELP = `\
  --image FILE             picture to start from, resized to --width and --height if given;
                           a video's first frame; may be repeated for models that look at
                           several (FLUX.2 klein, Qwen-Image-Edit, -2.1)
  --last-image FILE        a video's last frame
  --strength X             how much of it to draw anew, 0..1 (FLUX and SD3 0.6, SDXL 0.3, SD 0.8; with --mask
                           FLUX, SD3 and Qwen-Image 0.6, the others 1)
  --mask FILE              the places of the picture to draw anew; all other pixels stay as they are
  --mask-mode M            alpha: where the mask is transparent | white | black (alpha)
  --mask-blur X            blurs the mask's edge: the blur's standard deviation in pixels (0)
  --padding-mask-crop N    draws the masked area and N pixels around it alone, in --width x --height, and puts
                           it back into the picture, which keeps its own size`;

export interface ImageArguments {
  /** Paths of one file or several. */
  images: readonly string[];
  /** Path of a video's last frame. */
  lastImage: string | undefined;
  strength: number | undefined;
  /** Path of the mask's file. */
  mask: string | undefined;
  maskMode: MaskMode | undefined;
  maskBlur: number | undefined;
  paddingMaskCrop: number | undefined;
}

/**
 * Reads the flags of the start image.
 * @throws {UsageError} if there is a strength or a mask without an image, or a mask's option without a mask.
 */
export function readImageFlags(flags: Flags<typeof IMAGE_FLAGS>): ImageArguments | undefined {
  const { image: images, strength, mask, "mask-mode": mode, "mask-blur": maskBlur } = flags;
  const { "padding-mask-crop": paddingMaskCrop, "last-image": lastImage } = flags;
  if (images.length === 0) {
    if (strength !== undefined) throw new UsageError("--strength takes --image");
    if (mask !== undefined) throw new UsageError("--mask takes --image");
    if (lastImage !== undefined) throw new UsageError("--last-image takes --image");
  }
  if (mask === undefined) {
    if (mode !== undefined) throw new UsageError("--mask-mode takes --mask");
    if (maskBlur !== undefined) throw new UsageError("--mask-blur takes --mask");
    if (paddingMaskCrop !== undefined) throw new UsageError("--padding-mask-crop takes --mask");
  }
  const maskMode = MASK_MODES.find((known) => known === mode);
  if (mode !== undefined && maskMode === undefined) {
    throw new UsageError(`--mask-mode must be ${MASK_MODES.join(", ")}: current value is '${mode}'`);
  }
  if (images.length === 0) return undefined;
  return { images, lastImage, strength, mask, maskMode, maskBlur, paddingMaskCrop };
}

/** The opened files: an image to draw over and its mask, or images to look at. */
export interface OpenedImages {
  image?: DecodedImage;
  /** SHA-256 of the image's file, in hex. */
  sha256?: string;
  mask?: { image: DecodedMask; sha256: string };
  references?: readonly ReferenceImage[];
}

export interface OpenImagesOptions extends Pick<DecodeImageOptions, "width" | "height"> {
  rules: Pick<RequestRules, "references" | "sizeMultiple">;
}

/**
 * Reads the images, as the model uses them, and the mask.
 * @throws {ImageError | OptionError} if a file cannot be read, is no image, or is too large; or if the
 * model takes no mask.
 */
export async function openImages(
  { images, mask: maskPath, maskMode: mode = "alpha", paddingMaskCrop }:
    & Pick<ImageArguments, "images" | "mask" | "maskMode">
    & Partial<Pick<ImageArguments, "paddingMaskCrop">>,
  { width, height, rules }: OpenImagesOptions,
): Promise<OpenedImages> {
  const [path] = images;
  // Several images with a model that takes no references are an error of the request.
  if (rules.references !== undefined || images.length > 1 || path === undefined) {
    if (maskPath !== undefined) throw noMask();
    return { references: await Promise.all(images.map(openReference)) };
  }
  const bytes = await readImageBytes(path, "image");
  const image = await decodeImage(
    bytes,
    paddingMaskCrop === undefined ? { width, height, multiple: rules.sizeMultiple } : { multiple: 1 },
  );
  const opened = { image, sha256: sha256(bytes) };
  if (maskPath === undefined) return opened;
  const maskBytes = await readImageBytes(maskPath, "mask");
  assertSameShape(await readMaskSize(maskBytes), await readImageHeader(bytes, "image"));
  const mask = await decodeMask(maskBytes, { mode, width: image.width, height: image.height });
  return { ...opened, mask: { image: mask, sha256: sha256(maskBytes) } };
}

/** Opened frames of a video. The size of each is its file's. */
export interface OpenedFrames {
  firstFrame: FrameImage;
  lastFrame?: FrameImage;
}

/**
 * Reads the frames of a video.
 * @throws {ImageError} if a file cannot be read, is no image, or is too large.
 */
export async function openFrames(
  { images, lastImage }: Pick<ImageArguments, "images" | "lastImage">,
): Promise<OpenedFrames> {
  const [image, ...more] = images;
  if (image === undefined || more.length > 0) throw new UsageError("--image takes one file for a video");
  const open = async (path: string, field: ImageFieldName): Promise<FrameImage> => {
    const bytes = await readImageBytes(path, field);
    const { width, height } = await readImageHeader(bytes, field);
    return { width, height, file: { bytes, sha256: sha256(bytes) } };
  };
  return {
    firstFrame: await open(image, "image"),
    ...lastImage !== undefined && { lastFrame: await open(lastImage, "last_frame") },
  };
}

/** Reads an image to look at. Its pixels are decoded when the run begins. */
export async function openReference(path: string): Promise<ReferenceImage> {
  const bytes = await readImageBytes(path, "image");
  const { width, height } = await readImageHeader(bytes, "image");
  return { width, height, file: { bytes, sha256: sha256(bytes) } };
}

/** Returns the fields of a request with opened images. */
export function startFields(opened: OpenedImages | undefined, given: ImageArguments | undefined) {
  if (opened === undefined || given === undefined) return {};
  const { strength, maskMode, maskBlur, paddingMaskCrop } = given;
  return {
    ...opened.image && { image: opened.image },
    ...opened.references && { references: opened.references },
    ...strength !== undefined && { strength },
    ...opened.mask && {
      mask: opened.mask.image,
      ...maskMode !== undefined && { maskMode },
      ...maskBlur !== undefined && { maskBlur },
      ...paddingMaskCrop !== undefined && { paddingMaskCrop },
    },
  };
}
