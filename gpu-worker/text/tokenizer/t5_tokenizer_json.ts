// T5's unigram model as a tokenizer.json, from spiece.model (transformers' T5Tokenizer).
import { ModelProto_SentencePiece_Type as PieceType } from "../../runtime/messages/sentencepiece_model_pb.ts";
import type { SentencePieceModel } from "./sentencepiece_model.ts";
import type { TokenizerConfig } from "./tokenizer_config.ts";
import type { TokenizerJsonInput } from "./tokenizer_json.ts";

export function t5TokenizerJson(model: SentencePieceModel, config: TokenizerConfig): TokenizerJsonInput {
  const { pieces, unkId, precompiledCharsmap } = model;
  // spiece.model lacks the sentinels; they follow its pieces, the last one first.
  const sentinels = Array.from(
    { length: config.extra_ids },
    (_, i) => `<extra_id_${config.extra_ids - 1 - i}>`,
  );
  const eos = config.eos_token?.content ?? "</s>";
  const eosId = pieces.findIndex(({ piece }) => piece === eos);
  return {
    added_tokens: [
      ...pieces.flatMap(({ piece, type }, id) =>
        type === PieceType.CONTROL || type === PieceType.USER_DEFINED
          ? [{ id, content: piece, normalized: false, special: type === PieceType.CONTROL }]
          : []
      ),
      ...sentinels.map((content, i) => ({
        id: pieces.length + i,
        content,
        normalized: false,
        special: true,
      })),
    ],
    normalizer: precompiledCharsmap.length > 0
      ? { type: "Precompiled", precompiled_charsmap: precompiledCharsmap.toBase64() }
      : null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "WhitespaceSplit" },
        { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
      ],
    },
    model: {
      type: "Unigram",
      unk_id: unkId,
      byte_fallback: false,
      vocab: [
        ...pieces.map(({ piece, score }): [string, number] => [piece, score]),
        ...sentinels.map((piece): [string, number] => [piece, 0]),
      ],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: eos, type_id: 0 } }],
      pair: [],
      special_tokens: { [eos]: { id: eos, ids: [eosId], tokens: [eos] } },
    },
  };
}
