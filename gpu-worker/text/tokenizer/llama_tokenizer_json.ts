// Builds a tokenizer.json for the BPE of LLaMA 1 and 2 over SentencePiece's pieces (transformers'
// LlamaTokenizer). LLaMA 3 ships its own tokenizer.json.
import type { TokenizerJsonInput } from "./tokenizer_json.ts";

export interface LlamaTokenizerSource {
  vocab: Record<string, number>;
  merges: unknown;
  unkToken: string;
  /** Whether every word after an added token begins with a space, as before transformers 4.31. */
  legacy: boolean;
  addPrefixSpace: boolean;
}

export function llamaTokenizerJson(source: LlamaTokenizerSource): TokenizerJsonInput {
  const { vocab, merges, unkToken, legacy, addPrefixSpace } = source;
  const scheme = legacy ? "always" : "first";
  return {
    pre_tokenizer: {
      type: "Metaspace",
      replacement: "▁",
      prepend_scheme: addPrefixSpace ? scheme : "never",
      split: false,
    },
    // An unknown token that the vocabulary lacks would abort Rust. Without one,
    // unknown characters are dropped.
    model: {
      type: "BPE",
      unk_token: unkToken in vocab ? unkToken : null,
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges,
    },
  };
}

/** Returns the pairs that join to a piece, best piece first. SentencePiece stores no merges. */
export function mergesOf(vocab: Record<string, number>): [string, string][] {
  const ids = new Map(Object.entries(vocab));
  const merges: { left: string; right: string; id: number; order: [number, number] }[] = [];
  for (const [piece, id] of ids) {
    const characters = Array.from(piece);
    for (let i = 1; i < characters.length; i++) {
      const left = characters.slice(0, i).join("");
      const right = characters.slice(i).join("");
      const order: [number, number] | undefined = ids.has(left) && ids.has(right)
        ? [ids.get(left)!, ids.get(right)!]
        : undefined;
      if (order) merges.push({ left, right, id, order });
    }
  }
  const length = (text: string) => Array.from(text).length;
  return merges
    .sort((a, b) =>
      a.id - b.id || length(a.left) - length(b.left) || length(a.right) - length(b.right) ||
      a.order[0] - b.order[0] || a.order[1] - b.order[1]
    )
    .map(({ left, right }) => [left, right]);
}
