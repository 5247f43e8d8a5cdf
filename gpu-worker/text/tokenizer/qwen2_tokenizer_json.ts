// Builds a tokenizer.json for Qwen's byte-level BPE from vocab.json and
// merges.txt (transformers' Qwen2Tokenizer).
import type { TokenizerJsonInput } from "./tokenizer_json.ts";

export interface Qwen2TokenizerSource {
  /** Parsed vocab.json: token -> id. */
  vocab: unknown;
  /** Pairs of tokens, best pair first. */
  merges: unknown;
  addPrefixSpace: boolean;
}

/** Matches words with the character before them, single digits, and runs of other characters. */
const WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| " +
  "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

export function qwen2TokenizerJson(
  { vocab, merges, addPrefixSpace }: Qwen2TokenizerSource,
): TokenizerJsonInput {
  return {
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: addPrefixSpace, trim_offsets: true, use_regex: false },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      vocab: vocab as Record<string, number>,
      merges,
    },
  };
}
