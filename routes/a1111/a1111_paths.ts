// AUTOMATIC1111's API, described.
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { body, errors } from "../schema/responses.ts";
import { EMPTY_LISTS, MACHINE, REFRESHES } from "./idle_paths.ts";
import { pngInfoSchema } from "./png_info.ts";
import { img2imgSchema, optionsSchema, txt2imgSchema } from "./txt2img_request.ts";

const tags = ["AUTOMATIC1111"];

const imagesSchema = z.object({
  images: z.array(z.string()).describe("PNG files in base64."),
  parameters: z.looseObject({}).describe("The request."),
  info: z.string().describe("JSON: seeds, infotexts, and `receipts`."),
}).meta({ id: "A1111Images" });

const list = z.array(z.looseObject({}));
const nothing = z.null();
const texts = z.record(z.string(), z.string());

const strings = z.array(z.string());
/** The paths of the ControlNet extension: a summary and the answer of each. */
const CONTROLNET = {
  version: ["Version of the extension's API", z.object({ version: z.int() })],
  settings: ["Units of a request", z.object({ control_net_unit_count: z.int() })],
  model_list: ["ControlNets of the served models", z.object({ model_list: strings })],
  module_list: ["Preprocessors: none", z.looseObject({ module_list: strings })],
  control_types: ["ControlNets by their kind: all are one", z.object({ control_types: z.looseObject({}) })],
} as const;

export const a1111Paths: ZodOpenApiPathsObject = {
  "/sdapi/v1/txt2img": {
    post: {
      operationId: "a1111Txt2img",
      tags,
      summary: "Pictures from a prompt",
      requestBody: {
        required: true,
        content: { "application/json": { schema: txt2imgSchema.meta({ id: "Txt2img" }) } },
      },
      responses: { 200: body("The pictures", imagesSchema), ...errors(400, 404, 408, 413, 415, 504) },
    },
  },
  "/sdapi/v1/img2img": {
    post: {
      operationId: "a1111Img2img",
      tags,
      summary: "Pictures from a prompt and an image",
      requestBody: {
        required: true,
        content: { "application/json": { schema: img2imgSchema.meta({ id: "Img2img" }) } },
      },
      responses: { 200: body("The pictures", imagesSchema), ...errors(400, 404, 408, 413, 415, 504) },
    },
  },
  "/sdapi/v1/options": {
    get: {
      operationId: "a1111Options",
      tags,
      summary: "The checkpoint in use, and what front ends look for beside it",
      responses: { 200: body("Options", z.looseObject({ sd_model_checkpoint: z.string() })), ...errors(404) },
    },
    post: {
      operationId: "a1111SetOptions",
      tags,
      summary: "Chooses the checkpoint for this client; other options are passed over",
      requestBody: {
        required: true,
        content: {
          "application/json": { schema: optionsSchema },
        },
      },
      responses: { 200: body("Done", nothing), ...errors(400, 404, 408, 413, 415) },
    },
  },
  "/sdapi/v1/progress": {
    get: {
      operationId: "a1111Progress",
      tags,
      summary: "How far this client's generation at this edge is, with its last preview",
      requestParams: { query: z.object({ skip_current_image: z.string().optional() }) },
      responses: {
        200: body(
          "Progress",
          z.object({
            progress: z.number(),
            eta_relative: z.number(),
            state: z.looseObject({}),
            current_image: z.string().nullable(),
            textinfo: z.null(),
          }),
        ),
        ...errors(),
      },
    },
  },
  "/sdapi/v1/interrupt": {
    post: {
      operationId: "a1111Interrupt",
      tags,
      summary: "Ends this client's generations at this edge; they answer with what is done",
      responses: { 200: body("Done", nothing), ...errors() },
    },
  },
  ...lists({
    "sd-models": "The models that make pictures",
    loras: "The LoRAs that are served with models",
    samplers: "Samplers",
    schedulers: "Schedulers",
    ...Object.fromEntries(EMPTY_LISTS.map((name) => [name, "Always empty"])),
  }),
  "/sdapi/v1/scripts": {
    get: {
      operationId: "a1111Scripts",
      tags,
      summary: "The extensions that alwayson_scripts may name",
      responses: {
        200: body("Names", z.object({ txt2img: z.array(z.string()), img2img: z.array(z.string()) })),
        ...errors(),
      },
    },
  },
  ...Object.fromEntries(
    Object.entries(CONTROLNET).map(([name, [summary, schema]]) => [`/controlnet/${name}`, {
      get: {
        operationId: `a1111-controlnet-${name}`,
        tags,
        summary,
        responses: { 200: body(summary, schema), ...errors() },
      },
    }]),
  ),
  "/sdapi/v1/png-info": {
    post: {
      operationId: "a1111PngInfo",
      tags,
      summary: "The settings that a PNG, or a file of this server, says it was made with",
      requestBody: { required: true, content: { "application/json": { schema: pngInfoSchema } } },
      responses: {
        200: body(
          "The settings: as one text, and by name",
          z.object({ info: z.string(), items: texts, parameters: texts }),
        ),
        ...errors(400, 408, 413, 415),
      },
    },
  },
  ...Object.fromEntries(
    Object.keys(MACHINE).map((name) => [`/sdapi/v1/${name}`, {
      get: {
        operationId: `a1111-${name}`,
        tags,
        summary: "About the machine: always the same",
        responses: { 200: body("An object", z.looseObject({})), ...errors() },
      },
    }]),
  ),
  "/sdapi/v1/embeddings": {
    get: {
      operationId: "a1111Embeddings",
      tags,
      summary: "Always empty",
      responses: {
        200: body("None", z.object({ loaded: z.looseObject({}), skipped: z.looseObject({}) })),
        ...errors(),
      },
    },
  },
  ...Object.fromEntries(
    REFRESHES.map((name) => [`/sdapi/v1/${name}`, {
      post: {
        operationId: `a1111-${name}`,
        tags,
        summary: "Does nothing: workers tell what they serve",
        responses: { 200: body("Done", nothing), ...errors() },
      },
    }]),
  ),
};

function lists(summaries: Record<string, string>): ZodOpenApiPathsObject {
  return Object.fromEntries(
    Object.entries(summaries).map(([name, summary]) => [`/sdapi/v1/${name}`, {
      get: {
        operationId: `a1111-${name}`,
        tags,
        summary,
        responses: { 200: body("A list", list), ...errors() },
      },
    }]),
  );
}
