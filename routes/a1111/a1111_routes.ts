// AUTOMATIC1111's API, which hobby front ends speak: the same runs, cache, keys and receipts as OpenAI's.
// Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API and its modules/api/models.py
import { type Context, Hono } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { MAX_RUN_BYTES } from "../../protocol/wire/run_request.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import { readJson, type ReadJsonOptions } from "../../protocol/http/read_json.ts";
import { cacheOf, closeAll, openPictures } from "../images/open_pictures.ts";
import { requestCaching } from "../images/request_caching.ts";
import { allPlaces, countPictures } from "../jobs/count_pictures.ts";
import { drawJobId } from "../jobs/job_record.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import type { Environment } from "../middleware/environment.ts";
import { mergePictures } from "../runs/merge_pictures.ts";
import { runFailure } from "../runs/run_failure.ts";
import type { RunPlanner } from "../runs/run_planner.ts";
import { ownerOf } from "../runs/owner_of.ts";
import type { RunSource } from "../runs/run_source.ts";
import type { RunView } from "../runs/run_view.ts";
import { chosenModel, type ChosenModelOptions, rememberModel } from "./chosen_model.ts";
import { EMPTY_LISTS, MACHINE, REFRESHES } from "./idle_paths.ts";
import { hashOf, lorasOf, pictureModels, titleOf } from "./choose_model.ts";
import { pictureAnswer } from "./picture_answer.ts";
import { pngInfo, pngInfoSchema } from "./png_info.ts";
import { progressAnswer } from "./progress_answer.ts";
import { settleTxt2img } from "./settle_txt2img.ts";
import { SAMPLER_NAMES, SPACING_NAMES } from "./choose_sampler.ts";
import { type Generation, Generations } from "./generations.ts";
import {
  type Img2imgRequest,
  parseImg2img,
  parseOptions,
  parseTxt2img,
  startOf,
  type Txt2imgRequest,
} from "./txt2img_request.ts";

export interface A1111RoutesOptions extends ReadJsonOptions, ChosenModelOptions {
  planner: RunPlanner;
  source: RunSource;
  limits: KeyLimits;
}

/** A base64 picture over a slow line. */
const DEADLINE_MS = 60_000;

/** Creates the routes under /sdapi/v1. */
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
    if (title !== undefined) await rememberModel(c, { ...options, title });
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

  app.get("/progress", (c) => {
    const withImage = c.req.query("skip_current_image") !== "true";
    return c.json(progressAnswer(generations.progress(c.get("tenant")!), { withImage }));
  });
  app.post("/interrupt", (c) => {
    generations.interrupt(c.get("tenant")!);
    return c.json(null);
  });
  return app;
}

interface Asked {
  request: Txt2imgRequest & Partial<Img2imgRequest>;
  start: ReturnType<typeof startOf> | undefined;
  generations: Generations;
  options: A1111RoutesOptions;
}

async function generate(c: Context<Environment>, asked: Asked): Promise<Response> {
  const { start, generations, options } = asked;
  const { planner, source, limits } = options;
  const { request, card, warnings } = await settleTxt2img(c, asked);
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
      return c.json(pictureAnswer(events, { asked: asked.request, card, warnings, settings: plan.settings }));
    } finally {
      // The pictures of a client that leaves count all the same.
      if (c.req.raw.signal.aborted) await counted.deliver(allPlaces(pictures));
      closeAll(views);
    }
  } finally {
    await counted.end();
  }
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
