// The answer of POST /sdapi/v1/txt2img and img2img.
import { infotext } from "../../protocol/wire/infotext.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import { withWarnings } from "../images/image_response.ts";
import { hashOf } from "./choose_model.ts";
import { AUTOMATIC } from "./choose_sampler.ts";
import { timestamp } from "./timestamp.ts";
import type { Img2imgRequest, Txt2imgRequest } from "./txt2img_request.ts";

export interface PictureAnswerOptions {
  asked: Txt2imgRequest;
  card: ModelCard;
  warnings: readonly string[];
  settings: Parameters<typeof infotext>[0]["settings"];
}

/** Presents finished pictures. `info` is JSON in a string, as in AUTOMATIC1111's own answers. */
export function pictureAnswer(
  events: readonly CompletedEvent[],
  { asked, card, warnings, settings }: PictureAnswerOptions,
) {
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
