// Decides which tokens are matched in a text before it is split, as transformers 5 does when it loads a
// tokenizer (PreTrainedTokenizerBase._from_pretrained and TokenizersBackend.__init__).
import type { NamedToken, TokenizerConfig } from "./tokenizer_config.ts";
import type { AddedToken } from "./tokenizer_json.ts";

export interface TokenSources {
  config: TokenizerConfig;
  /** special_tokens_map.json. */
  specialTokensMap: Partial<TokenizerConfig>;
  /** added_tokens.json. */
  addedTokens: Record<string, number>;
  /** The added tokens of tokenizer.json. */
  listed: readonly (AddedToken & { id: number })[];
}

const NAMES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

/** The config of a tokenizer folder, merged from all its files. */
export interface ResolvedConfig {
  config: TokenizerConfig;
  /** The tokens that the folder lists by id, in order of their ids. */
  listed: AddedToken[];
}

/**
 * Merges the side files. If tokenizer_config.json lists the added tokens by id,
 * transformers ignores the other files.
 */
export function resolveConfig(sources: TokenSources): ResolvedConfig {
  const { added_tokens_decoder: decoder } = sources.config;
  if (decoder !== undefined) {
    return {
      config: sources.config,
      listed: inOrder(new Map(Object.entries(decoder).map(([id, t]) => [+id, t]))),
    };
  }
  const named = Object.entries(sources.specialTokensMap).map(([key, value]) =>
    [key, isToken(value) ? { ...value, special: true } : value] as const
  );
  const config: TokenizerConfig = { ...sources.config, ...Object.fromEntries(named) };
  // Under its old name, the map's list is used only if the config has none, and never for added_tokens.json.
  const extra = extraTokens({
    ...config,
    additional_special_tokens: sources.config.additional_special_tokens,
  });
  if (extra.length > 0) config.extra_special_tokens = extra;
  const special = new Set([...namedTokens(config), ...extra].map(contentOf));
  const listed = new Map<number, AddedToken>();
  for (const [content, id] of Object.entries(sources.addedTokens)) {
    listed.set(id, { content, normalized: !special.has(content), special: special.has(content) });
  }
  for (const { id, ...token } of sources.listed) listed.set(id, token);
  return { config, listed: inOrder(listed) };
}

/**
 * Returns the tokens to add to a vocabulary, in order.
 * @param known the tokens that the vocabulary already has as added tokens
 */
export function tokensToAdd(
  { config, listed }: ResolvedConfig,
  known: Iterable<string>,
): Required<AddedToken>[] {
  const byContent = new Map(listed.map((token) => [token.content, token]));
  const present = new Set([...known, ...byContent.keys()]);
  const names = new Set(namedTokens(config).map(contentOf));
  const named = namedTokens(config).map((token) => byContent.get(contentOf(token)) ?? token);
  return [...listed, ...[...named, ...extraTokens(config)].filter((token) => !present.has(contentOf(token)))]
    .map((token) => {
      if (typeof token === "string") return complete({ content: token, special: true });
      return complete({ ...token, special: (token.special ?? false) || names.has(token.content) });
    });
}

export function contentOf(token: NamedToken): string {
  return typeof token === "string" ? token : token.content;
}

/** Returns a token with every flag. Absent flags get Rust's defaults. */
export function complete(
  { content, special, single_word, lstrip, rstrip, normalized }: AddedToken,
): Required<AddedToken> {
  return {
    content,
    special: special ?? false,
    single_word: single_word ?? false,
    lstrip: lstrip ?? false,
    rstrip: rstrip ?? false,
    normalized: normalized ?? !special,
  };
}

/** Returns the named tokens: `bos_token` and similar, then the model's own, e.g. `image_token`. */
function namedTokens(config: TokenizerConfig): NamedToken[] {
  const own = Object.entries(config).filter(([key]) =>
    key.endsWith("_token") && !NAMES.includes(key as never)
  );
  const extra = config.extra_special_tokens;
  return [
    ...NAMES.map((name) => config[name]),
    ...own.map(([, value]) => typeof value === "string" || isToken(value) ? value : undefined),
    ...extra && !Array.isArray(extra) ? Object.values(extra) : [],
  ].filter((token) => token !== null && token !== undefined);
}

function extraTokens(config: TokenizerConfig): NamedToken[] {
  const { extra_special_tokens: extra, additional_special_tokens: additional } = config;
  if (Array.isArray(extra) && extra.length > 0) return extra;
  return Array.isArray(additional) ? additional : [];
}

function inOrder(tokens: Map<number, AddedToken>): AddedToken[] {
  return [...tokens].sort(([a], [b]) => a - b).map(([, token]) => token);
}

function isToken(value: unknown): value is AddedToken {
  return typeof value === "object" && value !== null && "content" in value &&
    typeof value.content === "string";
}
