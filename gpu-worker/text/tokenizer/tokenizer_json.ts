// The parts of a tokenizer.json (version 1.0) that we read or write ourselves.
import { z } from "zod";

const stage = z.looseObject({ type: z.string() });
/** Token -> id, or for Unigram models [token, log probability] in the order of ids. */
const vocabulary = z.union([z.record(z.string(), z.int()), z.array(z.tuple([z.string(), z.number()]))]);

const model = z.preprocess(
  withType,
  z.looseObject({ type: z.enum(["BPE", "Unigram", "WordLevel", "WordPiece"]), vocab: vocabulary }),
);

export const TOKENIZER_JSON = z.looseObject({
  /** Tokens that are found before a text is split into words. */
  added_tokens: z.array(z.looseObject({ id: z.int().nonnegative(), content: z.string() })).default([]),
  normalizer: stage.nullable().default(null),
  pre_tokenizer: stage.nullable().default(null),
  model,
  post_processor: stage.nullable().default(null),
  decoder: stage.nullable().default(null),
});

export type TokenizerJson = z.infer<typeof TOKENIZER_JSON>;
/** Before it is checked. */
export type TokenizerJsonInput = z.input<typeof TOKENIZER_JSON>;
/** One step of a tokenizer: its `type` and that type's own options. */
export type TokenizerStage = z.infer<typeof stage>;

/** Files from before tokenizers 0.13 name no type where the options tell it. */
function withType(model: unknown): unknown {
  if (typeof model !== "object" || model === null || "type" in model) return model;
  if ("merges" in model) return { ...model, type: "BPE" };
  return "unk_id" in model ? { ...model, type: "Unigram" } : model;
}
