// Turns a request of AUTOMATIC1111's API into one in OpenAI's fields, for the model that it means.
import type { Context } from "hono";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { Environment } from "../middleware/environment.ts";
import { nearestSize } from "../models/nearest_size.ts";
import { type ImageRequest, parseImageRequest } from "../requests/image_request.ts";
import { chooseModel } from "./choose_model.ts";
import { chooseSampler } from "./choose_sampler.ts";
import { chosenModel, type ChosenModelOptions, findModel } from "./chosen_model.ts";
import { controlOf } from "./control_unit.ts";
import { passedOver } from "./passed_over.ts";
import { type Img2imgRequest, picturesOf, type startOf, type Txt2imgRequest } from "./txt2img_request.ts";

/** Previews of a run, which are shown as progress. */
const PREVIEWS = 2;

export interface SettleOptions {
  request: Txt2imgRequest & Partial<Img2imgRequest>;
  /** The picture to start from. Undefined for text alone. */
  start: ReturnType<typeof startOf> | undefined;
  options: ChosenModelOptions;
}

export interface SettledTxt2img {
  card: ModelCard;
  /** Sentences about wishes that are not met. */
  warnings: string[];
  request: ImageRequest;
}

/** @throws {ApiError} 400 for a field that is wrong, 404 for a model that is not served, 503 */
export async function settleTxt2img(
  c: Context<Environment>,
  { request, start, options }: SettleOptions,
): Promise<SettledTxt2img> {
  const { catalog } = options;
  const cards = await catalog.list();
  const title = request.override_settings?.sd_model_checkpoint;
  const wanted = title ? await findModel(title, catalog) : await chosenModel(c, options);
  const { card, prompt, others = [] } = chooseModel(request.prompt ?? "", { card: wanted, cards });
  const warnings = passedOver(request, prompt);
  if (others.length > 0) {
    warnings.push(`There are no such networks here: ${others.slice(0, 20).join(" ").slice(0, 200)}.`);
  }
  const isCfg = card.guidance === "cfg";
  const scale = request.cfg_scale ?? (isCfg ? card.defaults.guidance_scale : card.defaults.true_cfg_scale);
  const { warning, ...sampler } = chooseSampler(request, card);
  // Front ends fill in a negative prompt of their own. A1111 passes over it where there is no guidance.
  const isGuided = scale > 1;
  if (!isGuided && request.negative_prompt) {
    warnings.push("There is no guidance, so the negative prompt has no effect.");
  }
  const [width, height] = card.sizes.native.split("x").map(Number) as [number, number];
  const from = request.width === undefined && request.height === undefined ? start?.image.size : undefined;
  const asked = {
    width: request.width ?? from?.width ?? width,
    height: request.height ?? from?.height ?? height,
  };
  const size = nearestSize(asked, card);
  if (size.width !== asked.width || size.height !== asked.height) {
    warnings.push(`${card.id} draws ${size.width}x${size.height} instead of ${asked.width}x${asked.height}.`);
  }
  if (warning !== undefined) warnings.push(warning);
  return {
    card,
    warnings,
    request: parseImageRequest({
      // A1111 takes an empty prompt; a space is an unprompted picture here.
      prompt: prompt || " ",
      negative_prompt: isGuided ? request.negative_prompt : undefined,
      model: card.id,
      n: picturesOf(request),
      size: `${size.width}x${size.height}`,
      seed: request.seed,
      steps: request.steps,
      ...sampler,
      // A1111 reads prompts in this way.
      ...card.prompt_weights && { prompt_weights: true, long_prompts: true },
      ...isCfg
        ? { guidance_scale: request.cfg_scale }
        : { true_cfg_scale: request.cfg_scale === undefined ? undefined : Math.max(1, request.cfg_scale) },
      ...card.guidance === "distilled" && { guidance_scale: request.distilled_cfg_scale },
      spectrum: request.spectrum,
      ...controlOf(request.alwayson_scripts),
      metadata: c.get("apiKey")?.metadata,
      // For previews.
      stream: true,
      partial_images: PREVIEWS,
    }),
  };
}
