// Reads what a checkpoint says about a tokenizer outside the tokenizer's folder.
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { readJsonFile } from "./read_json_file.ts";

export interface TokenizerSurroundings {
  /** The tokenizer's class in model_index.json, which diffusers loads. */
  className?: string | undefined;
  /** Number of positions of the text encoder. Longer texts do not fit. */
  maxPositions?: number | undefined;
  /** The version of transformers that saved the text encoder. */
  transformersVersion?: string | undefined;
}

const TEXT_ENCODER = z.looseObject({
  max_position_embeddings: z.int().positive().optional().catch(undefined),
  transformers_version: z.string().optional().catch(undefined),
});

/** Reads model_index.json and the text encoder's config.json around `folder`, if they exist. */
export function readSurroundings(folder: string): TokenizerSurroundings {
  const checkpoint = dirname(folder);
  const name = basename(folder);
  const entry = readJsonFile(join(checkpoint, "model_index.json"))?.[name];
  const named = Array.isArray(entry) && typeof entry[1] === "string" ? entry[1] : undefined;
  // A processor holds a tokenizer, whose own config tells its class.
  const className = named?.endsWith("Processor") ? undefined : named;
  const config = readJsonFile(join(checkpoint, name.replace("tokenizer", "text_encoder"), "config.json"));
  if (config === undefined) return { className };
  const { max_position_embeddings: maxPositions, transformers_version: transformersVersion } = TEXT_ENCODER
    .parse(config);
  return { className, maxPositions, transformersVersion };
}
