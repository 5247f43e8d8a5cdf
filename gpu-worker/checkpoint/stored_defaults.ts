// Reads a checkpoint's defaults: its spectrum.json, then published settings by
// name, then the family's preset.
import { z } from "zod";
import { methodSchema, optionSchema } from "../../protocol/wire/sampler_fields.ts";
import { mapOptions } from "../../sampler/mod.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";
import { parseConfig } from "./parse_config.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { publishedSettings } from "./published_settings.ts";

const SCHEMA = z.strictObject({
  steps: z.int().positive(),
  width: z.int().positive(),
  height: z.int().positive(),
  numFrames: z.int().positive(),
  fps: z.number().positive(),
  guidanceScale: z.number(),
  guidanceScale2: z.number(),
  trueCfgScale: z.number(),
  guidanceRescale: z.number(),
  cfgNormalization: z.number(),
  cfgTruncation: z.number(),
  maxSequenceLength: z.int().positive(),
  maxPixels: z.int().positive(),
  sizes: z.strictObject({ smallest: z.int().positive(), largest: z.int().positive() }),
  sampler: z.strictObject({
    method: methodSchema,
    ...mapOptions("name", optionSchema),
  }).partial(),
}).partial();

/**
 * Returns a checkpoint's defaults.
 * @throws {CheckpointError} if the checkpoint's spectrum.json has an unknown or malformed field.
 */
export function requestDefaults(checkpoint: Checkpoint, preset: RequestDefaults): RequestDefaults {
  const published = { ...preset, ...publishedSettings(checkpoint) };
  if (!checkpoint.has("spectrum.json")) return published;
  const own = parseConfig(SCHEMA, checkpoint.json("spectrum.json"), {
    className: checkpoint.pipelineClass,
    path: checkpoint.path("spectrum.json"),
  });
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  return { ...published, ...given };
}
