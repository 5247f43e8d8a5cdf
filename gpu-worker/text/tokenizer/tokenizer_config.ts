// Schema of the parts of tokenizer_config.json (and special_tokens_map.json)
// that affect how a text is encoded.
import { z } from "zod";
import { ADDED_TOKEN } from "./tokenizer_json.ts";

/** A token's name, alone or with the way it is matched. */
const token = z.union([z.string(), ADDED_TOKEN]);
const tokens = z.union([z.array(token), z.record(z.string(), token)]);

/** 1e30 stands for no limit. z.int() would reject it as inexact. */
const length = z.number().positive().refine(Number.isInteger, "must be a whole number");

export const TOKENIZER_CONFIG = z.looseObject({
  tokenizer_class: z.string().nullish(),
  bos_token: token.nullish(),
  eos_token: token.nullish(),
  unk_token: token.nullish(),
  sep_token: token.nullish(),
  pad_token: token.nullish(),
  cls_token: token.nullish(),
  mask_token: token.nullish(),
  additional_special_tokens: tokens.nullish(),
  /** transformers 5's name for additional_special_tokens. */
  extra_special_tokens: tokens.nullish(),
  /** id -> token; written by transformers 4.34 and later. */
  added_tokens_decoder: z.record(z.string().regex(/^\d+$/), ADDED_TOKEN).optional(),
  /** Number of T5's sentinels `<extra_id_N>`, which its spiece.model lacks. */
  extra_ids: z.int().nonnegative().default(100),
  add_bos_token: z.boolean().nullish(),
  add_eos_token: z.boolean().nullish(),
  model_max_length: length.nullish(),
  /** transformers 2's name for model_max_length. */
  max_len: length.nullish(),
  padding_side: z.enum(["left", "right"]).optional(),
  truncation_side: z.enum(["left", "right"]).optional(),
  /** Whether names of special tokens in a text are read as its letters. */
  split_special_tokens: z.boolean().nullish(),
});

/** added_tokens.json: token -> id. */
export const ADDED_TOKENS = z.record(z.string(), z.int().nonnegative());

export type TokenizerConfig = z.infer<typeof TOKENIZER_CONFIG>;
/** A special token as a config names it. */
export type NamedToken = z.infer<typeof token>;
