// The parts of a tokenizer, as the files of a checkpoint folder give them.
import type { TokenizerConfig } from "./tokenizer_config.ts";
import type { AddedToken, TokenizerJson } from "./tokenizer_json.ts";

export interface TokenizerFiles {
  json: TokenizerJson;
  /** tokenizer_config.json and the files beside it, taken together. */
  config: TokenizerConfig;
  /** Tokens to add to those of `json`, in order. */
  added: Required<AddedToken>[];
  /** Those of `added` that have a row in the text encoder. */
  listed: ReadonlySet<string>;
  /** The special tokens around every text, where the tokenizer's class decides; otherwise `json` does. */
  around?: SurroundingTokens;
}

export interface SurroundingTokens {
  before: string[];
  after: string[];
}
