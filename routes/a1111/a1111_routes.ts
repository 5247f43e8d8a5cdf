// AUTOMATIC1111's API, which hobby front ends speak: the same runs, cache, keys and receipts as OpenAI's.
// Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API and its modules/api/models.py
import { type Context, Hono } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { infotext } from "../../protocol/wire/infotext.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { MAX_RUN_BYTES } from "../../protocol/wire/run_request.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import { readJson, type ReadJsonOptions } from "../../protocol/http/read_json.ts";
import { withWarnings } from "../images/image_response.ts";
import { cacheOf, closeAll, openPictures } from "../images/open_pictures.ts";
import { requestCaching } from "../images/request_caching.ts";
import { allPlaces, countPictures } from "../jobs/count_pictures.ts";
import { drawJobId } from "../jobs/job_record.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import type { Environment } from "../middleware/environment.ts";
import { nearestSize } from "../models/nearest_size.ts";
import { parseImageRequest } from "../requests/image_request.ts";
import { mergePictures } from "../runs/merge_pictures.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";
import { runFailure } from "../runs/run_failure.ts";
import type { RunPlanner } from "../runs/run_planner.ts";
import { ownerOf } from "../runs/owner_of.ts";
import type { RunSource } from "../runs/run_source.ts";
import type { RunView } from "../runs/run_view.ts";
import type { StateStore } from "../state/state_store.ts";
import { controlOf } from "./control_unit.ts";
import { EMPTY_LISTS, MACHINE, REFRESHES } from "./idle_paths.ts";
import { chooseModel, findByTitle, hashOf, lorasOf, pictureModels, titleOf } from "./choose_model.ts";
import { passedOver } from "./passed_over.ts";
import { pngInfo, pngInfoSchema } from "./png_info.ts";
import { AUTOMATIC, chooseSampler, SAMPLER_NAMES, SPACING_NAMES } from "./choose_sampler.ts";
import { type Generation, Generations } from "./generations.ts";
import {
  type Img2imgRequest,
  parseImg2img,
  parseOptions,
  parseTxt2img,
  picturesOf,
  startOf,
  type Txt2imgRequest,
} from "./txt2img_request.ts";

export interface A1111RoutesOptions extends ReadJsonOptions {
  planner: RunPlanner;
  catalog: ModelCatalog;
  source: RunSource;
  limits: KeyLimits;
  state: StateStore;
}

/** For which a chosen checkpoint is remembered. */
const OPTIONS_MS = 30 * 86_400_000;
/** A base64 picture over a slow line. */
const DEADLINE_MS = 60_000;
/** Shown as progress. */
const PREVIEWS = 2;

export function a1111Routes(options: A1111RoutesOptions): Hono<Environment> {
  const { catalog } = options;
  const app = new Hono<Environment>();
  const generations = new Generations();
  const read = (c: Context<Environment>) =>
    readJson(c.req.raw, { ...options, maxBytes: MAX_RUN_BYTES, deadlineMs: DEADLINE_MS });

  app.post("/txt2img", async (c) => {
    const request = parseTxt2img(await read(c));
    return await generate(c, { request, start: undefined, generations, options });
  });
  app.post("/img2img", async (c) => {
    const request = parseImg2img(await read(c));
    return await generate(c, { request, start: startOf(request), generations, options });
  });

  app.get("/options", async (c) => c.json(optionsOf(await chosenModel(c, options))));
  app.post("/options", async (c) => {
    const { sd_model_checkpoint: title } = parseOptions(await readJson(c.req.raw, options));
    if (title !== undefined) {
      const { id } = await findModel(title, catalog);
      await options.state.set(optionsKey(c), id, { ttlMs: OPTIONS_MS });
    }
    return c.json(null);
  });

  app.get("/sd-models", async (c) => c.json(pictureModels(await catalog.list()).map(toSdModel)));
  app.get("/loras", async (c) => {
    const loras = lorasOf(await catalog.list());
    return c.json(loras.map(({ name, path, weight }) => ({ name, alias: name, path, metadata: { weight } })));
  });
  app.get("/samplers", (c) => c.json(SAMPLER_NAMES.map((name) => ({ name, aliases: [], options: {} }))));
  app.get(
    "/schedulers",
    (c) =>
      c.json(
        SPACING_NAMES.map((name) => ({ name, label: name[0]!.toUpperCase() + name.slice(1), aliases: null })),
      ),
  );
  for (const name of EMPTY_LISTS) app.get(`/${name}`, (c) => c.json([]));
  app.get("/scripts", (c) => c.json({ txt2img: ["controlnet"], img2img: ["controlnet"] }));
  for (const [name, answer] of Object.entries(MACHINE)) app.get(`/${name}`, (c) => c.json(answer));
  app.post("/png-info", async (c) => c.json(pngInfo(parseWire(pngInfoSchema, await read(c)))));
  app.get("/embeddings", (c) => c.json({ loaded: {}, skipped: {} }));
  for (const name of REFRESHES) app.post(`/${name}`, (c) => c.json(null));

  app.get("/progress", (c) => c.json(toProgress(c, generations)));
  app.post("/interrupt", (c) => {
    generations.interrupt(c.get("tenant")!);
    return c.json(null);
  });
  return app;
}

interface Asked {
  request: Txt2imgRequest & Partial<Img2imgRequest>;
  start: Awaited<ReturnType<typeof startOf>> | undefined;
  generations: Generations;
  options: A1111RoutesOptions;
}

async function generate(c: Context<Environment>, asked: Asked): Promise<Response> {
  const { start, generations, options } = asked;
  const { planner, source, limits } = options;
  const { request, card, warnings } = await settle(c, asked);
  const caching = requestCaching(c.req.header("cache-control"));
  const sharing = !caching.store || request.seed === undefined ? "none" : "results";
  // Front ends send it always.
  const strength = card.references ? undefined : asked.request.denoising_strength;
  const plan = await planner.plan(start ? { ...request, ...start, strength } : request, sharing);
  const pictures = plan.pictures.length;
  const counted = await countPictures(pictures, { limits, key: c.get("apiKey"), id: drawJobId() });
  try {
    const owner = ownerOf(c.get("tenant")!);
    const views = await openPictures(plan.pictures, { source, caching, owner });
    c.set("cache", cacheOf(views));
    c.header("x-spectrum-cache", c.get("cache"));
    const { tenant } = c.var;
    using generation = generations.begin(tenant!, { pictures, steps: pictures * plan.settings.steps });
    try {
      const done = await collect(views, { generation, signal: c.req.raw.signal });
      await counted.deliver(done.flatMap((event, place) => event === undefined ? [] : [place]));
      const events = done.filter((event) => event !== undefined);
      return c.json(toAnswer(events, { asked: asked.request, card, warnings, settings: plan.settings }));
    } finally {
      // The pictures of a client that leaves count all the same.
      if (c.req.raw.signal.aborted) await counted.deliver(allPlaces(pictures));
      closeAll(views);
    }
  } finally {
    await counted.end();
  }
}

/** The request in OpenAI's fields. */
async function settle(c: Context<Environment>, { request, start, options }: Asked) {
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

/** The finished pictures by their places: all, or those that an interrupt has left. */
async function collect(
  views: readonly RunView[],
  { generation, signal }: { generation: Generation; signal: AbortSignal },
): Promise<(CompletedEvent | undefined)[]> {
  const done: (CompletedEvent | undefined)[] = views.map(({ result }) => result);
  if (done.every((event) => event !== undefined)) return done;
  const either = AbortSignal.any([signal, generation.signal]);
  for await (const { imageIndex, event } of mergePictures(views, either)) {
    if (event.type === "step") generation.stepsDone++;
    if (event.type === "preview") generation.preview = event.b64_json;
    if (event.type === "failed" || event.type === "cancelled") throw runFailure(event);
    if (event.type !== "completed") continue;
    done[imageIndex] = event;
    generation.picturesDone++;
  }
  // Nobody reads this answer.
  if (signal.aborted) throw new ApiError(499, "The client has gone", { code: "client_gone" });
  return done;
}

interface AnswerParts {
  asked: Txt2imgRequest;
  card: ModelCard;
  warnings: readonly string[];
  settings: Parameters<typeof infotext>[0]["settings"];
}

/** `info` is JSON in a string, as there. */
function toAnswer(events: readonly CompletedEvent[], { asked, card, warnings, settings }: AnswerParts) {
  const receipts = events.map(({ receipt }) => withWarnings(receipt, warnings));
  const seeds = receipts.map(({ seed }) => seed);
  const texts = seeds.map((seed) =>
    infotext({ model: card.id, modelDigest: card.digest, settings: { ...settings, seed } })
  );
  const { prompt, negative_prompt, steps, width, height } = settings;
  const { init_images: _, mask: __, ...parameters } = asked as Partial<Img2imgRequest>;
  const info = {
    prompt,
    all_prompts: seeds.map(() => prompt),
    negative_prompt,
    all_negative_prompts: seeds.map(() => negative_prompt),
    seed: settings.seed,
    all_seeds: seeds,
    subseed: settings.seed,
    all_subseeds: seeds,
    subseed_strength: 0,
    width,
    height,
    sampler_name: (asked.sampler_name || asked.sampler_index) ?? AUTOMATIC,
    cfg_scale: settings.true_cfg_scale > 1 ? settings.true_cfg_scale : settings.guidance_scale,
    steps,
    batch_size: seeds.length,
    restore_faces: false,
    face_restoration_model: null,
    sd_model_name: card.id,
    sd_model_hash: hashOf(card),
    denoising_strength: settings.strength ?? 0,
    extra_generation_params: {},
    index_of_first_image: 0,
    infotexts: texts,
    styles: [],
    job_timestamp: timestamp(Date.now()),
    clip_skip: 1,
    is_using_inpainting_conditioning: false,
    version: "Spectrum Edge",
    receipts,
  };
  return {
    images: asked.send_images === false ? [] : events.map(({ b64_json }) => b64_json),
    parameters,
    info: JSON.stringify(info),
  };
}

function toProgress(c: Context<Environment>, generations: Generations) {
  const progress = generations.progress(c.get("tenant")!);
  const withImage = c.req.query("skip_current_image") !== "true";
  if (progress === undefined) {
    return { progress: 0, eta_relative: 0, state: stateOf(), current_image: null, textinfo: null };
  }
  const { share, startedAt, steps, stepsDone, pictures, picturesDone, preview } = progress;
  const seconds = (Date.now() - startedAt) / 1000;
  return {
    progress: share,
    eta_relative: share === 0 ? 0 : seconds / share - seconds,
    state: stateOf({ startedAt, job_count: pictures, job_no: picturesDone, step: stepsDone, steps }),
    current_image: withImage ? preview : null,
    textinfo: null,
  };
}

function stateOf(
  running?: { startedAt: number; job_count: number; job_no: number; step: number; steps: number },
) {
  return {
    skipped: false,
    interrupted: false,
    stopping_generation: false,
    job: running ? "scripts_txt2img" : "",
    job_count: running?.job_count ?? 0,
    job_timestamp: timestamp(running?.startedAt ?? 0),
    job_no: running?.job_no ?? 0,
    sampling_step: running?.step ?? 0,
    sampling_steps: running?.steps ?? 0,
  };
}

/** As there: 20261129185900. */
function timestamp(ms: number): string {
  return ms === 0 ? "0" : new Date(ms).toISOString().replace(/\D/g, "").slice(0, 14);
}

function toSdModel(card: ModelCard) {
  const name = card.id.replaceAll("/", "_");
  return {
    title: titleOf(card),
    model_name: name,
    hash: hashOf(card),
    sha256: card.digest,
    filename: card.id,
    config: null,
  };
}

/** The options, among hundreds, that front ends look for. */
function optionsOf(card: ModelCard) {
  return {
    sd_model_checkpoint: titleOf(card),
    sd_checkpoint_hash: card.digest,
    sd_vae: "Automatic",
    samples_format: "png",
    CLIP_stop_at_last_layers: 1,
    show_progress_type: "Full",
    live_previews_enable: true,
    enable_pnginfo: true,
  };
}

/**
 * The checkpoint that this client has chosen, else the first that makes pictures.
 * @throws {ApiError} 404, 503
 */
async function chosenModel(
  c: Context<Environment>,
  { catalog, state }: A1111RoutesOptions,
): Promise<ModelCard> {
  const cards = pictureModels(await catalog.list());
  const id = await state.get(optionsKey(c)).catch(() => undefined);
  return cards.find((card) => card.id === id) ?? cards[0] ?? await catalog.find("pictures");
}

/** @throws {ApiError} 404, 503 */
async function findModel(title: string, catalog: ModelCatalog): Promise<ModelCard> {
  return findByTitle(title, pictureModels(await catalog.list())) ?? await catalog.find(title);
}

function optionsKey(c: Context<Environment>): string {
  return `a1111:${c.get("tenant")!}`;
}
