// Builds a tokenizer.json for T5's unigram model, from spiece.model or another
// tokenizer.json (transformers' T5Tokenizer).
import type { TokenizerJsonInput } from "./tokenizer_json.ts";

export interface T5TokenizerSource {
  /** Pieces and their log probabilities, in order of their ids. */
  vocab: [piece: string, score: number][];
  /** Compiled normalisation rules in base64, if there are any. */
  charsmap: string | undefined;
}

/**
 * Id of the unknown token. transformers relies on the order that T5 was trained with: padding, end, unknown.
 */
const UNK_ID = 2;

export function t5TokenizerJson({ vocab, charsmap }: T5TokenizerSource): TokenizerJsonInput {
  return {
    normalizer: charsmap ? { type: "Precompiled", precompiled_charsmap: charsmap } : null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "WhitespaceSplit" },
        { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
      ],
    },
    model: { type: "Unigram", unk_id: UNK_ID, byte_fallback: false, vocab },
  };
}

/** Returns the sentinels that follow the pieces of a spiece.model, the last one first. */
export function t5Sentinels(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `<extra_id_${count - 1 - i}>`);
}
