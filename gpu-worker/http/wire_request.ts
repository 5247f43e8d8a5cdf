// Reads runs from the wire: completes them, and names fields in refusals as clients spell them.
import { createHash } from "node:crypto";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type {
  CompletionRequest,
  FILE_FIELDS,
  FILE_LISTS,
  RunRequest,
} from "../../protocol/wire/run_request.ts";
import { mapOptions, OptionError } from "../../sampler/mod.ts";
import { outputFormat, videoFormat } from "../../protocol/wire/generation_fields.ts";
import { decodeImage, resizedTo } from "../media/decode_image.ts";
import { assertSameShape, decodeMask, readMaskSize } from "../media/decode_mask.ts";
import { ImageError, type ImageFieldName } from "../media/image_error.ts";
import { readImageHeader } from "../media/image_header.ts";
import { badField } from "../request/bad_field.ts";
import { framesOf as videoLength } from "./video_length.ts";
import { completeRequest } from "../request/complete_request.ts";
import type { GenerateRequest, PartialRequest } from "../request/generate_request.ts";
import type { ModelDescription } from "../request/model_description.ts";
import type { DecodedImage, ImageSize } from "../media/decoded_image.ts";
import { type FrameImage, type PartialFrames, requireFrames } from "../request/video_frames.ts";
import { requireReferences } from "../request/references.ts";
import { type FileField, fromWire } from "../request/wire_settings.ts";

/** A run whose files may be replaced by their sizes. */
type SizedRun =
  & RunRequest
  & Partial<
    Pick<
      CompletionRequest,
      "image_size" | "mask_size" | "control_image_size" | "last_frame_size" | "reference_sizes"
    >
  >;

/** A completed request whose image is not decoded yet. */
export type CompleteRun = GenerateRequest<ImageSize>;

/**
 * Completes `run` with the model's defaults and checks it. Reads
 * only the size of an image, as many runs may wait with one.
 * @throws {ApiError} 400 naming the field as the client spells it.
 */
export async function completeRun(run: SizedRun, model: ModelDescription): Promise<CompleteRun> {
  return await refusing(async () => {
    assertFormat(run, model);
    const { rules } = model;
    const references = await referenceSizesOf(run);
    requireReferences({ references }, rules);
    const images = rules.video === undefined ? await startSizesOf(run, model) : await framesOf(run);
    const completed = completeRequest({ ...openRequest(run, model), ...images, references }, model);
    requireFrames(completed, rules);
    return completed;
  });
}

/**
 * Decodes the images of a run, and gives references and a video's frames their files. Called when the run's
 * turn has come.
 * @throws {ApiError} 400 for a damaged image.
 */
export async function withImage(
  { startImage, control, frames, references, ...rest }: CompleteRun,
  files: Partial<Pick<RunRequest, typeof FILE_FIELDS[number] | typeof FILE_LISTS[number]>>,
): Promise<GenerateRequest> {
  const { image: base64 = "", mask: mask64 = "" } = files;
  const { control_image: control64 = "", last_frame: last64 = "" } = files;
  if (frames !== undefined) {
    const first = withFile(frames.first, { base64, field: "input_reference" });
    const last = frames.last && withFile(frames.last, { base64: last64, field: "last_frame" });
    return { ...rest, frames: { first, ...last && { last } } };
  }
  return await refusing(async () => {
    const completed = {
      ...rest,
      ...references && {
        references: references.map((image, i) =>
          withFile(image, { base64: files.references?.[i] ?? "", field: "image" })
        ),
      },
      ...control && { control: { ...control, image: await decodeControlImage(control64, control.image) } },
    };
    if (startImage === undefined) return completed;
    const image = await decodeImage(bytesOf(base64, "image"), { ...startImage.image, multiple: 1 });
    const { mask: sized, ...start } = startImage;
    const mask = sized && {
      ...sized,
      image: await decodeMask(bytesOf(mask64, "mask"), { ...sized.image, mode: sized.mode }),
    };
    return { ...completed, startImage: { ...start, image, ...mask && { mask } } };
  });
}

function withFile(
  frame: FrameImage,
  { base64, field }: { base64: string; field: ImageFieldName },
): FrameImage {
  const bytes = bytesOf(base64, field);
  return { ...frame, file: { bytes, sha256: createHash("sha256").update(bytes).digest("hex") } };
}

/** Returns the sizes of a video's frames, as their files have them. */
async function framesOf(run: SizedRun): Promise<PartialFrames> {
  const sizeOf = async (
    base64: string | undefined,
    { size, field }: { size: ImageSize | undefined; field: ImageFieldName },
  ) => {
    if (base64 === undefined) return size;
    const { width, height } = await readImageHeader(bytesOf(base64, field), field);
    return { width, height };
  };
  const firstFrame = await sizeOf(run.image, { size: run.image_size, field: "input_reference" });
  const lastFrame = await sizeOf(run.last_frame, { size: run.last_frame_size, field: "last_frame" });
  return { ...firstFrame && { firstFrame }, ...lastFrame && { lastFrame } };
}

async function decodeControlImage(base64: string, size: ImageSize): Promise<DecodedImage> {
  return await decodeImage(bytesOf(base64, "control_image"), {
    ...size,
    multiple: 1,
    field: "control_image",
  });
}

/** Returns the references' own sizes. Reads their headers only. */
async function referenceSizesOf(run: SizedRun): Promise<readonly ImageSize[] | undefined> {
  if (run.references === undefined) return run.reference_sizes;
  return await Promise.all(run.references.map(async (base64) => {
    const { width, height } = await readImageHeader(bytesOf(base64, "image"), "image");
    return { width, height };
  }));
}

/**
 * Returns the sizes that a run's images are resized to. Image and mask have the same proportions; a control
 * image gets the picture's.
 */
async function startSizesOf(run: SizedRun, model: ModelDescription): Promise<StartSizes> {
  const sizes = await drawnSizesOf(run, model);
  const own = run.control_image === undefined
    ? run.control_image_size
    : await readImageHeader(bytesOf(run.control_image, "control_image"), "control_image");
  if (own === undefined) return sizes;
  const { width, height } = run;
  const multiple = model.rules.sizeMultiple;
  return {
    ...sizes,
    controlImage: sizes.image ?? resizedTo(own, { width, height, multiple, field: "control_image" }),
  };
}

interface StartSizes {
  image?: ImageSize | undefined;
  mask?: ImageSize | undefined;
  controlImage?: ImageSize | undefined;
}

async function drawnSizesOf(
  run: SizedRun,
  { rules: { sizeMultiple: multiple } }: ModelDescription,
): Promise<StartSizes> {
  const { width, height } = run;
  const own = run.image === undefined
    ? run.image_size
    : await readImageHeader(bytesOf(run.image, "image"), "image");
  const mask = run.mask === undefined ? run.mask_size : await readMaskSize(bytesOf(run.mask, "mask"));
  if (own === undefined) return { mask };
  if (mask !== undefined) assertSameShape(mask, own);
  if (run.padding_mask_crop !== undefined) {
    const whole = { width: own.width, height: own.height };
    return { image: whole, mask: mask && whole };
  }
  const size = resizedTo(own, { width, height, multiple });
  return { image: size, mask: mask && size };
}

/** Turns an error that the client caused into an ApiError that names the client's field. */
async function refusing<T>(complete: () => Promise<T>): Promise<T> {
  try {
    return await complete();
  } catch (cause) {
    throw cause instanceof OptionError || cause instanceof ImageError ? refusal(cause) : cause;
  }
}

/** Checks that the model's kind of result fits the requested file format. */
function assertFormat(
  { output_format: format }: RunRequest,
  { rules }: Pick<ModelDescription, "rules">,
): void {
  const { options } = rules.video ? videoFormat : outputFormat;
  if ((options as string[]).includes(format)) return;
  const known = `${options.slice(0, -1).join(", ")} or ${options.at(-1)}`;
  const made = rules.video ? "videos, as POST /v1/videos does" : "pictures";
  throw badField(
    "output_format",
    `must be ${known} with a model that makes ${made}: current value is ${format}`,
  );
}

function bytesOf(base64: string, field: ImageFieldName): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64);
  } catch (cause) {
    throw new ImageError("it is not in base64", { field, cause });
  }
}

function openRequest(
  run: RunRequest,
  { rules, defaults }: ModelDescription,
): Omit<PartialRequest, FileField> {
  const { num_frames, seconds, fps = defaults.fps ?? 0 } = run;
  const frames = num_frames ?? (seconds === undefined ? undefined : videoLength(seconds, { fps, rules }));
  return fromWire({ ...run, num_frames: frames });
}

const WIRE_NAMES: Record<string, string> = {
  negativePrompt: "negative_prompt",
  width: "size",
  height: "size",
  numFrames: "num_frames",
  guidanceScale: "guidance_scale",
  guidanceScale2: "guidance_scale_2",
  trueCfgScale: "true_cfg_scale",
  guidanceRescale: "guidance_rescale",
  cfgNormalization: "cfg_normalization",
  cfgTruncation: "cfg_truncation",
  skipLayerGuidance: "skip_layer_guidance",
  firstFrame: "input_reference",
  lastFrame: "last_frame",
  maskMode: "mask_mode",
  maskBlur: "mask_blur",
  paddingMaskCrop: "padding_mask_crop",
  controlNet: "controlnet",
  controlImage: "control_image",
  controlScale: "control_scale",
  controlStart: "control_start",
  controlEnd: "control_end",
  controlMode: "control_mode",
  maxSequenceLength: "max_sequence_length",
  promptWeights: "prompt_weights",
  longPrompts: "long_prompts",
  method: "spectrum.method",
  fullSteps: "spectrum.full_steps",
  quality: "spectrum.quality",
  ...mapOptions("name", ({ wire }) => `spectrum.${wire}`),
};

/** Messages distinguish 'width' and 'height', although both are the parameter 'size'. */
const MESSAGE_NAMES: Record<string, string> = { ...WIRE_NAMES, width: "width", height: "height" };

function refusal(cause: OptionError | ImageError): ApiError {
  if (cause instanceof ImageError) {
    return new ApiError(400, cause.message, { param: cause.field, code: "invalid_value", cause });
  }
  return new ApiError(400, cause.messageIn((option) => MESSAGE_NAMES[option] ?? option), {
    param: WIRE_NAMES[cause.option] ?? cause.option,
    code: "invalid_value",
    cause,
  });
}
