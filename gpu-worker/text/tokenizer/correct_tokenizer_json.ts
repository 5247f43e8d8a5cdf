// Says in other steps what @huggingface/tokenizers 0.2.0 does differently from the Rust tokenizers that it mirrors.
import type { TokenizerJson, TokenizerStage } from "./tokenizer_json.ts";

/** Returns `json` with the steps replaced that the library gets wrong. */
export function correctTokenizerJson(json: TokenizerJson): TokenizerJson {
  return {
    ...json,
    normalizer: json.normalizer && correctStage(json.normalizer),
    pre_tokenizer: json.pre_tokenizer && correctStage(json.pre_tokenizer),
  };
}

function correctStage(stage: TokenizerStage): TokenizerStage {
  switch (stage.type) {
    case "Sequence":
      return correctSequence(stage);
    case "Lowercase":
      // JavaScript writes a sigma at the end of a word as ς; Rust lowers one letter at a time.
      return {
        type: "Sequence",
        normalizers: [{ type: "Replace", pattern: { String: "Σ" }, content: "σ" }, stage],
      };
    case "WhitespaceSplit":
      // JavaScript's \s lacks U+0085 and has U+FEFF.
      return split("\\S+");
    case "Metaspace":
      // The library leaves the text in one piece.
      return stage["split"] === false ? stage : {
        type: "Sequence",
        pretokenizers: [stage, split("▁[^▁]*|[^▁]+")],
      };
    default:
      return stage;
  }
}

function correctSequence(stage: TokenizerStage): TokenizerStage {
  const corrected = { ...stage };
  for (const key of ["normalizers", "pretokenizers"]) {
    const inner = stage[key];
    if (Array.isArray(inner)) corrected[key] = inner.map(correctStage);
  }
  return corrected;
}

/** A step that keeps the matches of `regex` and nothing else. */
function split(regex: string): TokenizerStage {
  return { type: "Split", pattern: { Regex: regex }, behavior: "Removed", invert: true };
}
