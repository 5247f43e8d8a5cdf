// CLIP's byte-level BPE as a tokenizer.json, from vocab.json and merges.txt (transformers' CLIPTokenizer).
import type { TokenizerConfig } from "./tokenizer_config.ts";
import type { TokenizerJsonInput } from "./tokenizer_json.ts";

export interface ClipTokenizerSource {
  /** vocab.json, parsed: token -> id. */
  vocab: Record<string, unknown>;
  /** merges.txt: a version line, then a pair of tokens a line, the best first. */
  merges: string;
}

/** Words, single digits, runs of anything else; English contractions apart. */
const WORDS =
  "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

export function clipTokenizerJson(
  { vocab, merges }: ClipTokenizerSource,
  config: TokenizerConfig,
): TokenizerJsonInput {
  const bos = config.bos_token?.content ?? "<|startoftext|>";
  const eos = config.eos_token?.content ?? "<|endoftext|>";
  const lines = merges.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#version"));
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
        { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      ],
    },
    model: {
      type: "BPE",
      unk_token: config.unk_token?.content ?? eos,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      byte_fallback: false,
      vocab: vocab as Record<string, number>,
      merges: lines.map((line) => line.split(" ")),
    },
    post_processor: {
      type: "RobertaProcessing",
      cls: [bos, vocab[bos]],
      sep: [eos, vocab[eos]],
      trim_offsets: false,
      add_prefix_space: false,
    },
  };
}
