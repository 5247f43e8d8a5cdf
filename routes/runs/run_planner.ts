// Turns an image or video request into the runs it wants: seeds, canonical settings, keys.
import canonicalize from "canonicalize";
import { LRUCache } from "lru-cache";
import { atMost } from "../../protocol/store/at_most.ts";
import { type EditRequest, imagesOf } from "../requests/edit_request.ts";
import type { SourceImage } from "../requests/source_image.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ImageRequest } from "../requests/image_request.ts";
import type { VideoRequest } from "../requests/video_request.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import {
  type CompleteSettings,
  FILE_FIELDS,
  type OpenCompletionRequest,
  type OpenRunRequest,
} from "../../protocol/wire/run_request.ts";
import { resultKey } from "./result_key.ts";
import type { ModelCatalog } from "./model_catalog.ts";
import type { WantedRun } from "./wanted_run.ts";
import type { WorkerPool } from "./worker_pool.ts";
import { withoutUndefined } from "../../protocol/wire/without_undefined.ts";

export interface RunPlan {
  model: ModelCard;
  settings: CompleteSettings;
  /** One for each of `n`, with seeds seed..seed+n-1. */
  pictures: WantedRun[];
}

/** The part of a request that others may share: nothing, its run while it lasts, or its result too. */
export type Sharing = "none" | "runs" | "results";

/** The fields of a request that decide its runs. */
export type PlannedRequest = ImageRequest | EditRequest | PlannedVideo;

/** A video request in the form of a request for one picture. */
export type PlannedVideo =
  & VideoRequest
  & Pick<ImageRequest, "n" | "stream" | "background" | "response_format">;

export interface RunPlannerOptions {
  catalog: ModelCatalog;
  worker: Pick<WorkerPool, "complete">;
  /** Draws a seed, 0..2^32-1, for requests that name none. @default cryptographically random */
  drawSeed?: () => number;
}

/** Largest number of remembered answers of workers: one for each combination of settings in use. */
const REMEMBERED = 1000;
/** Largest total of remembered plans, by the text of their requests. */
const PLAN_BYTES = 16 * 2 ** 20;
/** Rough bytes of a plan, beside the texts that it shares with its request. */
const PLAN_OVERHEAD = 4096;

export class RunPlanner {
  readonly #options: Required<RunPlannerOptions>;
  /** Settings completed with a checkpoint's defaults. They do not depend on prompt and seed. */
  readonly #complete = new LRUCache<string, Promise<CompleteSettings>>(atMost(REMEMBERED));
  /**
   * Plans of requests whose results are stored. A request for a stored result is mostly repeated in the same
   * words, and making its plan costs more than the look into the store.
   */
  readonly #plans = new LRUCache<string, RunPlan>({
    maxSize: PLAN_BYTES,
    sizeCalculation: (_, text) => 2 * text.length + PLAN_OVERHEAD,
  });

  /**
   * The plan last made of a request, found without its text: `parseImageText` returns
   * one object for equal texts.
   */
  readonly #lastPlans = new WeakMap<PlannedRequest, RunPlan>();

  constructor(options: RunPlannerOptions) {
    this.#options = { drawSeed: () => crypto.getRandomValues(new Uint32Array(1))[0]!, ...options };
  }

  drawSeed(): number {
    return this.#options.drawSeed();
  }

  /**
   * Returns the runs of a request.
   * @param sharing "none": equal requests have nothing to do with each other. "runs": they share a run, as
   * retries of one request do. By default results are stored if the request names its seed.
   * @throws {ApiError} 400 or 404 naming the field, 503 without a worker
   */
  async plan(
    request: PlannedRequest,
    sharing: Sharing = request.seed === undefined ? "none" : "results",
  ): Promise<RunPlan> {
    const model = await this.#options.catalog.find(request.model);
    // An image would make the text megabytes long.
    if (sharing !== "results" || Object.values(filesOf(request)).some((file) => file !== undefined)) {
      return await this.#make(request, model, sharing);
    }
    const same = this.#lastPlans.get(request);
    if (same?.model === model) return same;
    const text = JSON.stringify([model.id, model.digest, model.sampler_version, request]);
    const plan = this.#plans.get(text) ?? await this.#make(request, model, sharing);
    this.#plans.set(text, plan);
    this.#lastPlans.set(request, { ...plan, model });
    return plan;
  }

  async #make(request: PlannedRequest, model: ModelCard, sharing: Sharing): Promise<RunPlan> {
    const seed = request.seed ?? this.#options.drawSeed();
    const files = await this.#sourcesOf(request, model);
    const run = { ...toRun(request, model.id), seed };
    const sent = base64Of(files);
    const settings = {
      ...await this.#completed(run, { model, files }),
      prompt: run.prompt,
      seed,
      ...digestsOf(files),
    };
    const all = [...FILE_FIELDS.map((name) => files[name]), ...files.references ?? []];
    const named = all.flatMap((file) => file?.sha256 ?? []).join(".");
    const { output_format, output_compression, metadata = true } = request;
    const pictures = Array.from({ length: request.n }, (_, index) => {
      const ofPicture = { ...settings, seed: seed + index };
      const key = resultKey({ model, settings: ofPicture, output_format, output_compression, metadata });
      return {
        name: sharing === "none" ? undefined : key,
        // A drawn seed comes once: only a picture with an address is worth storing.
        key: sharing === "results" || request.response_format === "url" ? key : undefined,
        run: { ...run, ...sent, seed: seed + index },
        imageName: named === "" ? undefined : named,
        modelDigest: model.digest,
      };
    });
    return { model, settings, pictures };
  }

  /** Returns the settings of `run` with the model's defaults, from memory if they are known. */
  #completed(
    run: OpenRunRequest,
    { model: { digest, sampler_version }, files }: { model: ModelCard; files: Sources },
  ): Promise<CompleteSettings> {
    const { prompt: _prompt, seed: _seed, previews: _previews, metadata: _metadata, ...open } = run;
    const seen = sizesOf(files, ({ sha256 }) => sha256);
    const name = canonicalize({ ...open, digest, sampler_version, ...seen })!;
    const known = this.#complete.get(name);
    if (known !== undefined) return known;
    const completed = this.#options.worker.complete({ ...run, ...sizesOf(files, ({ base64 }) => base64) });
    this.#complete.set(name, completed);
    completed.catch(() => this.#complete.delete(name));
    return completed;
  }

  /** @throws {ApiError} 400 for several images with a model that draws over one */
  async #sourcesOf(request: PlannedRequest, model: ModelCard): Promise<Sources> {
    const { image, ...others } = filesOf(request);
    if (image === undefined) return others;
    const images = imagesOf({ image, more_images: (request as Partial<EditRequest>).more_images });
    if (model.references) return { ...others, references: images };
    if (images.length === 1) return { ...others, image };
    const cards = await this.#options.catalog.list();
    const able = cards.filter(({ references }) => (references?.max ?? 0) >= images.length);
    const advice = able.length === 0
      ? "FLUX.2 klein, Qwen-Image-Edit and Qwen-Image-2.1 take several, but no such model is served"
      : `Try ${able.map(({ id }) => id).join(", ")}`;
    throw new ApiError(
      400,
      `'image' must be one image with the model '${model.id}': there are ${images.length}. ${advice}`,
      { param: "image", code: "invalid_value" },
    );
  }
}

/** The files of a request by what its model does with them. */
interface Sources extends RequestFiles {
  /** Looked at, where the model does not draw over `image`. */
  references?: readonly SourceImage[];
}

function base64Of({ references, ...files }: Sources): Partial<OpenRunRequest> {
  const single = Object.entries(files).map(([name, file]) => [name, file?.base64]);
  return withoutUndefined({
    ...Object.fromEntries(single),
    references: references?.map(({ base64 }) => base64),
  });
}

function digestsOf({ references, ...files }: Sources): Partial<CompleteSettings> {
  const single = Object.entries(files).map(([name, file]) => [`${name}_sha256`, file?.sha256]);
  return withoutUndefined({
    ...Object.fromEntries(single),
    references_sha256: references?.map(({ sha256 }) => sha256),
  });
}

/**
 * Returns the files as a worker completes a request with them. The files themselves travel with the run, as
 * their sizes decide everything that the worker fills in.
 * @param otherwise stands for a file of unknown size
 */
function sizesOf(
  { references, ...files }: Sources,
  otherwise: (file: SourceImage) => string,
): Partial<OpenCompletionRequest> {
  const single = Object.entries(files).flatMap(([name, file]) =>
    file ? [file.size ? [`${name}_size`, file.size] : [name, otherwise(file)]] : []
  );
  const sizes = references?.flatMap(({ size }) => size ?? []);
  const hasSizes = sizes?.length === references?.length;
  return {
    ...Object.fromEntries(single),
    ...references && (hasSizes ? { reference_sizes: sizes } : { references: references.map(otherwise) }),
  };
}

/** The image files of a request. */
type RequestFiles = Partial<Record<typeof FILE_FIELDS[number], SourceImage | undefined>>;

function filesOf(request: PlannedRequest): RequestFiles {
  const { image, mask, control_image, last_frame } = request as RequestFiles;
  return { image, mask, control_image, last_frame };
}

/** Returns how a control image is used. Videos have none. */
function controlFieldsOf(request: PlannedRequest): Partial<OpenRunRequest> {
  const { controlnet, control_scale, control_start, control_end, control_mode } = request as Partial<
    ImageRequest
  >;
  return { controlnet, control_scale, control_start, control_end, control_mode };
}

function toRun(request: PlannedRequest, model: string): Omit<OpenRunRequest, "seed"> {
  const {
    prompt,
    negative_prompt,
    steps,
    guidance_scale,
    guidance_scale_2,
    true_cfg_scale,
    guidance_rescale,
    cfg_normalization,
    cfg_truncation,
    skip_layer_guidance,
    max_sequence_length,
    scheduler,
    scheduler_options,
    prompt_weights,
    long_prompts,
    wildcards,
  } = request;
  const { strength, mask_mode, mask_blur, padding_mask_crop } = request as Partial<EditRequest>;
  const fields = {
    model,
    prompt,
    negative_prompt,
    steps,
    guidance_scale,
    guidance_scale_2,
    true_cfg_scale,
    guidance_rescale,
    cfg_normalization,
    cfg_truncation,
    skip_layer_guidance: skip_layer_guidance && withoutUndefined(skip_layer_guidance),
    max_sequence_length,
    scheduler,
    scheduler_options,
    prompt_weights,
    long_prompts,
    wildcards,
    strength,
    mask_mode,
    mask_blur,
    padding_mask_crop,
    ...controlFieldsOf(request),
    spectrum: request.spectrum && withoutUndefined(request.spectrum),
    ...sizeOf(request.size),
    ...videoOf(request),
    previews: request.stream || request.background === true ? request.partial_images : 0,
    output_format: request.output_format,
    output_compression: request.output_compression,
    // A file has metadata unless the request says false.
    metadata: request.metadata === false ? false : undefined,
  };
  return withoutUndefined(fields);
}

function videoOf(request: PlannedRequest): Pick<OpenRunRequest, "num_frames" | "fps" | "seconds"> {
  const { num_frames, fps, seconds } = request as Partial<VideoRequest>;
  return { num_frames, fps, seconds };
}

/** "auto" leaves the size to the checkpoint. */
function sizeOf(size: string | undefined): { width?: number; height?: number } {
  if (size === undefined || size === "auto") return {};
  const [width, height] = size.split("x").map(Number);
  return { width: width!, height: height! };
}
