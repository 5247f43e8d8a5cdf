// Reads runs from the wire: completes them, and names fields in refusals as clients spell them.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { CompletionRequest, RunRequest } from "../../protocol/wire/run_request.ts";
import { mapOptions, OptionError } from "../../sampler/mod.ts";
import { outputFormat, videoFormat } from "../../protocol/wire/generation_fields.ts";
import { decodeImage, readImageSize, resizedTo } from "../media/decode_image.ts";
import { ImageError } from "../media/image_error.ts";
import { badField } from "../request/bad_field.ts";
import { framesOf } from "./video_length.ts";
import { completeRequest } from "../request/complete_request.ts";
import type { GenerateRequest, PartialRequest } from "../request/generate_request.ts";
import type { ModelDescription } from "../request/model_description.ts";
import type { ImageSize } from "../request/start_image.ts";
import { fromWire } from "../request/wire_settings.ts";

/** A run whose image may be replaced by its size. */
type SizedRun = RunRequest & Partial<Pick<CompletionRequest, "image_size">>;

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
    return completeRequest({ ...openRequest(run, model), image: await imageSizeOf(run, model) }, model);
  });
}

/**
 * Decodes the image of a run. Called when the run's turn has come.
 * @throws {ApiError} 400 for a damaged image.
 */
export async function withImage(
  { startImage, ...completed }: CompleteRun,
  { image: base64 = "" }: Pick<RunRequest, "image">,
): Promise<GenerateRequest> {
  if (startImage === undefined) return completed;
  return await refusing(async () => {
    const image = await decodeImage(bytesOf(base64), { ...startImage.image, multiple: 1 });
    return { ...completed, startImage: { ...startImage, image } };
  });
}

async function imageSizeOf(
  { image, image_size, width, height }: SizedRun,
  { rules: { sizeMultiple: multiple } }: ModelDescription,
): Promise<ImageSize | undefined> {
  const options = { width, height, multiple };
  if (image !== undefined) return await readImageSize(bytesOf(image), options);
  return image_size && resizedTo(image_size, options);
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

function bytesOf(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64);
  } catch (cause) {
    throw new ImageError("it is not in base64", { cause });
  }
}

function openRequest(run: RunRequest, { rules, defaults }: ModelDescription): Omit<PartialRequest, "image"> {
  const { num_frames, seconds, fps = defaults.fps ?? 0 } = run;
  const frames = num_frames ?? (seconds === undefined ? undefined : framesOf(seconds, { fps, rules }));
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
  maxSequenceLength: "max_sequence_length",
  method: "spectrum.method",
  fullSteps: "spectrum.full_steps",
  quality: "spectrum.quality",
  ...mapOptions("name", ({ wire }) => `spectrum.${wire}`),
};

/** Messages distinguish 'width' and 'height', although both are the parameter 'size'. */
const MESSAGE_NAMES: Record<string, string> = { ...WIRE_NAMES, width: "width", height: "height" };

function refusal(cause: OptionError | ImageError): ApiError {
  if (cause instanceof ImageError) {
    return new ApiError(400, cause.message, { param: "image", code: "invalid_value", cause });
  }
  return new ApiError(400, cause.messageIn((option) => MESSAGE_NAMES[option] ?? option), {
    param: WIRE_NAMES[cause.option] ?? cause.option,
    code: "invalid_value",
    cause,
  });
}
