// The parts of tokenizer_config.json (and special_tokens_map.json) that change how a text is encoded.
import { z } from "zod";

/** Given as text, or with how it is matched: `lstrip`, `rstrip`, `normalized`, `single_word`. */
const token = z.union([
  z.string().transform((content) => ({ content })),
  z.looseObject({ content: z.string() }),
]);

export const TOKENIZER_CONFIG = z.looseObject({
  bos_token: token.nullish(),
  eos_token: token.nullish(),
  unk_token: token.nullish(),
  sep_token: token.nullish(),
  pad_token: token.nullish(),
  cls_token: token.nullish(),
  mask_token: token.nullish(),
  /** id -> token, which transformers 4.34 and later write. */
  added_tokens_decoder: z.record(z.string(), token).default({}),
  /** T5's sentinels `<extra_id_N>`, which its spiece.model lacks. */
  extra_ids: z.int().nonnegative().default(100),
  model_max_length: z.number().positive().default(Infinity),
  padding_side: z.enum(["left", "right"]).default("right"),
  truncation_side: z.enum(["left", "right"]).default("right"),
});

export type TokenizerConfig = z.infer<typeof TOKENIZER_CONFIG>;
/** A special token and how it is matched in a text. */
export type SpecialToken = z.infer<typeof token>;
