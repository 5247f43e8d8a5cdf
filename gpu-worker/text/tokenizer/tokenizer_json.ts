// Schema of the parts of a tokenizer.json (version 1.0) that we read or write.
import { z } from "zod";

const stage = z.looseObject({ type: z.string() });
/** Token -> id, or for Unigram models [token, log probability] in order of ids. */
const vocabulary = z.union([z.record(z.string(), z.int()), z.array(z.tuple([z.string(), z.number()]))]);

const model = z.preprocess(
  withType,
  z.looseObject({ type: z.enum(["BPE", "Unigram", "WordLevel", "WordPiece"]), vocab: vocabulary }),
);

/** A token that is matched before a text is split into words, and the way it is matched. */
export const ADDED_TOKEN = z.looseObject({
  content: z.string(),
  single_word: z.boolean().nullish(),
  lstrip: z.boolean().nullish(),
  rstrip: z.boolean().nullish(),
  normalized: z.boolean().nullish(),
  special: z.boolean().nullish(),
});

/** tokenizer_config.json has the words in lower case. */
const SIDE = z.enum(["Left", "Right"]);

export const TOKENIZER_JSON = z.looseObject({
  version: z.string().default("1.0"),
  added_tokens: z.array(ADDED_TOKEN.extend({ id: z.int().nonnegative() })).default([]),
  normalizer: stage.nullable().default(null),
  pre_tokenizer: stage.nullable().default(null),
  model,
  post_processor: stage.nullable().default(null),
  decoder: stage.nullable().default(null),
  padding: z.looseObject({ pad_token: z.string(), direction: SIDE }).partial().nullable().default(null),
  truncation: z.looseObject({ direction: SIDE }).partial().nullable().default(null),
});

export type AddedToken = z.infer<typeof ADDED_TOKEN>;
export type TokenizerJson = z.infer<typeof TOKENIZER_JSON>;
/** A tokenizer.json before it is checked. */
export type TokenizerJsonInput = z.input<typeof TOKENIZER_JSON>;
/** One stage of a tokenizer: its `type` and the options of that type. */
export type TokenizerStage = z.infer<typeof stage>;

/** Adds the model's type. Files from before tokenizers 0.13 omit it if the options imply it. */
function withType(model: unknown): unknown {
  if (typeof model !== "object" || model === null || "type" in model) return model;
  if ("merges" in model) return { ...model, type: "BPE" };
  return "unk_id" in model ? { ...model, type: "Unigram" } : model;
}
