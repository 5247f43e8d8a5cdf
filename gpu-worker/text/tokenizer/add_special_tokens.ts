// Makes the special tokens that tokenizer_config.json names found in texts, as transformers does when it loads one.
import type { SpecialToken, TokenizerConfig } from "./tokenizer_config.ts";
import type { TokenizerJson } from "./tokenizer_json.ts";

/** Adds the special tokens of `config` that the vocabulary holds and `json` does not list yet. */
export function addSpecialTokens(json: TokenizerJson, config: TokenizerConfig): TokenizerJson {
  const { vocab } = json.model;
  const ids = Array.isArray(vocab)
    ? new Map(vocab.map(([token], id) => [token, id]))
    : new Map(Object.entries(vocab));
  const listed = new Set(json.added_tokens.map(({ content }) => content));
  const added = new Map<string, SpecialToken & { id: number }>();
  for (const token of namedTokens(config)) {
    const id = ids.get(token.content);
    if (id !== undefined && !listed.has(token.content)) {
      // The last description of a token counts, as in transformers.
      added.set(token.content, { normalized: false, ...token, id, special: true });
    }
  }
  return { ...json, added_tokens: [...json.added_tokens, ...added.values()] };
}

function namedTokens(config: TokenizerConfig): SpecialToken[] {
  const { bos_token, eos_token, unk_token, sep_token, pad_token, cls_token, mask_token } = config;
  const named = [bos_token, eos_token, unk_token, sep_token, pad_token, cls_token, mask_token];
  return [
    ...named.filter((token) => token !== null && token !== undefined),
    ...Object.values(config.added_tokens_decoder),
  ];
}
