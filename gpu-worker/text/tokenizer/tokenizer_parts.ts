// The parts of a tokenizer, read from a checkpoint folder's files.
import type { TokenizerConfig } from "./tokenizer_config.ts";
import type { AddedToken, TokenizerJson } from "./tokenizer_json.ts";

export interface TokenizerFiles {
  json: TokenizerJson;
  /** tokenizer_config.json, merged with the files beside it. */
  config: TokenizerConfig;
  /** Tokens to add to the tokens of `json`, in order. */
  added: Required<AddedToken>[];
  /** The tokens of `added` that have a row in the text encoder. */
  listed: ReadonlySet<string>;
  /** The special tokens around every text, if the tokenizer's class decides them. Otherwise `json` does. */
  around?: SurroundingTokens;
}

export interface SurroundingTokens {
  before: string[];
  after: string[];
}
