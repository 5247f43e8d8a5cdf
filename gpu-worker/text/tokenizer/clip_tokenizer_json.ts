// Builds a tokenizer.json for CLIP's byte-level BPE from vocab.json and
// merges.txt (transformers' CLIPTokenizer).
import type { TokenizerJsonInput } from "./tokenizer_json.ts";

export interface ClipTokenizerSource {
  /** Parsed vocab.json: token -> id. */
  vocab: unknown;
  /** Pairs of tokens, best pair first. */
  merges: unknown;
  unkToken: string;
}

/** Matches words, single digits, and runs of other characters. English contractions are split off. */
const WORDS =
  "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

export function clipTokenizerJson({ vocab, merges, unkToken }: ClipTokenizerSource): TokenizerJsonInput {
  return {
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: unkToken,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      byte_fallback: false,
      vocab: vocab as Record<string, number>,
      merges,
    },
  };
}

/** Parses merges.txt: a version line, then one pair of tokens per line. */
export function parseMerges(text: string): string[][] {
  return text.split("\n").map((line) => line.trim())
    .filter((line) => !line.startsWith("#version"))
    .map((line) => line.split(/\s+/)).filter((pair) => pair.length === 2);
}
