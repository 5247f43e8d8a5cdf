// Finds a tokenizer's vocabulary and builds its stages. Like transformers 5, the classes of CLIP, T5, LLaMA
// and Qwen read only the vocabulary from a tokenizer.json. Any other class uses the whole file.
import { join } from "node:path";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { ModelProto_SentencePiece_Type as PieceType } from "../../runtime/messages/sentencepiece_model_pb.ts";
import { clipTokenizerJson, parseMerges } from "./clip_tokenizer_json.ts";
import { llamaTokenizerJson, mergesOf } from "./llama_tokenizer_json.ts";
import { readFile } from "../../checkpoint/read_file.ts";
import { readJsonFile } from "./read_json_file.ts";
import { complete, contentOf } from "./resolve_tokens.ts";
import { qwen2TokenizerJson } from "./qwen2_tokenizer_json.ts";
import { parseSentencePieceModel } from "./sentencepiece_model.ts";
import { t5Sentinels, t5TokenizerJson } from "./t5_tokenizer_json.ts";
import type { NamedToken, TokenizerConfig } from "./tokenizer_config.ts";
import type { SurroundingTokens } from "./tokenizer_parts.ts";
import type { TokenizerJson, TokenizerJsonInput, TokenizerStage } from "./tokenizer_json.ts";

export interface VocabularySource {
  /** tokenizer.json, if there is one. */
  json: TokenizerJson | undefined;
  config: TokenizerConfig;
  className: string | undefined;
}

export interface BuiltTokenizer {
  /** Path of the vocabulary's file, for messages. */
  path: string;
  json: TokenizerJsonInput;
  /** The config, with the class's default names of special tokens filled in. */
  config: TokenizerConfig;
  around?: SurroundingTokens;
}

export function readVocabulary(folder: string, source: VocabularySource): BuiltTokenizer {
  const { json, config, className = "" } = source;
  const path = (name: string) => join(folder, name);
  if (json !== undefined) return fromJson(json, { path: path("tokenizer.json"), config, className });
  const vocab = readJsonFile(path("vocab.json"));
  const merges = readFile(path("merges.txt"));
  if (vocab !== undefined && merges !== undefined) {
    const source = {
      vocab,
      merges: parseMerges(new TextDecoder().decode(merges)),
      config,
      path: path("vocab.json"),
    };
    if (!QWEN2.test(className)) return clip(source);
    const built = qwen2(source);
    return { ...built, around: around(built.config) };
  }
  const spiece = readFile(path("spiece.model"));
  if (spiece !== undefined) return t5FromPieces(spiece, { config, path: path("spiece.model") });
  const llamaPieces = readFile(path("tokenizer.model"));
  if (llamaPieces !== undefined) {
    return llamaFromPieces(llamaPieces, { config, path: path("tokenizer.model") });
  }
  throw new CheckpointError(
    `Cannot load a tokenizer from ${folder} as it holds neither tokenizer.json nor vocab.json with ` +
      "merges.txt nor spiece.model nor tokenizer.model",
  );
}

interface Place {
  path: string;
  config: TokenizerConfig;
}

function fromJson(
  json: TokenizerJson,
  { path, config, className }: Place & { className: string },
): BuiltTokenizer {
  const { model } = json;
  if (/^CLIPTokenizer(Fast)?$/.test(className) && model.type === "BPE") {
    return clip({ vocab: model.vocab, merges: model["merges"], config, path });
  }
  if (/^T5Tokenizer(Fast)?$/.test(className) && model.type === "Unigram" && Array.isArray(model.vocab)) {
    return t5({ vocab: model.vocab, charsmap: charsmapOf(json.normalizer), pieces: [], config, path });
  }
  if (QWEN2.test(className) && model.type === "BPE") {
    const built = qwen2({ vocab: model.vocab, merges: model["merges"], config, path });
    return { ...built, json: { ...built.json, post_processor: json.post_processor } };
  }
  // If model_index.json says LlamaTokenizer, transformers 5 reads LLaMA 3's file as LLaMA 2's and encodes
  // every text wrongly. transformers 4 uses the file as it is, and so do we.
  const byteLevel = JSON.stringify(json.pre_tokenizer).includes('"ByteLevel"');
  if (
    /^LlamaTokenizer(Fast)?$/.test(className) && model.type === "BPE" && !Array.isArray(model.vocab) &&
    !byteLevel
  ) {
    const built = llama({ vocab: model.vocab, merges: model["merges"], config, path });
    return { ...built, json: { ...built.json, post_processor: json.post_processor } };
  }
  const added = json.added_tokens.map(({ id, ...token }) => ({ id, ...complete(token) }));
  return { path, config, json: { ...json, added_tokens: added } };
}

function clip({ vocab, merges, config, path }: Place & { vocab: unknown; merges: unknown }): BuiltTokenizer {
  const eos = "<|endoftext|>";
  const named = withDefaults(config, {
    bos_token: "<|startoftext|>",
    eos_token: eos,
    unk_token: eos,
    pad_token: eos,
  });
  return {
    path,
    config: named,
    json: clipTokenizerJson({ vocab, merges, unkToken: contentOf(named.unk_token ?? eos) }),
    around: {
      before: [contentOf(named.bos_token ?? "<|startoftext|>")],
      after: [contentOf(named.eos_token ?? eos)],
    },
  };
}

const QWEN2 = /^Qwen2Tokenizer(Fast)?$/;

function qwen2({ vocab, merges, config, path }: Place & { vocab: unknown; merges: unknown }): BuiltTokenizer {
  const end = "<|endoftext|>";
  return {
    path,
    config: withDefaults(config, { eos_token: end, unk_token: end, pad_token: end }),
    json: qwen2TokenizerJson({ vocab, merges, addPrefixSpace: config["add_prefix_space"] === true }),
  };
}

function t5FromPieces(bytes: Uint8Array, { path, config }: Place): BuiltTokenizer {
  const { pieces, precompiledCharsmap } = parseSentencePieceModel(bytes, { path, modelType: "unigram" });
  return t5({
    vocab: [
      ...pieces.map(({ piece, score }): [string, number] => [piece, score]),
      ...t5Sentinels(config.extra_ids).map((piece): [string, number] => [piece, 0]),
    ],
    charsmap: precompiledCharsmap.length > 0 ? precompiledCharsmap.toBase64() : undefined,
    pieces: pieces.filter(({ type }) => type === PieceType.CONTROL || type === PieceType.USER_DEFINED)
      .map(({ piece, type }) => ({ content: piece, normalized: false, special: type === PieceType.CONTROL })),
    config,
    path,
  });
}

interface T5Source extends Place {
  vocab: [string, number][];
  charsmap: string | undefined;
  /** Pieces that are matched as a whole. */
  pieces: NamedToken[];
}

function t5({ vocab, charsmap, pieces, config, path }: T5Source): BuiltTokenizer {
  const named = withDefaults(config, { eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" });
  const listed = config.extra_special_tokens ?? config.additional_special_tokens;
  return {
    path,
    config: {
      ...named,
      extra_special_tokens: listed ?? [...pieces, ...t5Sentinels(config.extra_ids).reverse()],
    },
    json: t5TokenizerJson({ vocab, charsmap }),
    around: { before: [], after: [contentOf(named.eos_token ?? "</s>")] },
  };
}

function llamaFromPieces(bytes: Uint8Array, { path, config }: Place): BuiltTokenizer {
  const { pieces } = parseSentencePieceModel(bytes, { path, modelType: "bpe" });
  const vocab = Object.fromEntries(pieces.map(({ piece }, id) => [piece, id]));
  const built = llama({ vocab, merges: mergesOf(vocab), config, path });
  return { ...built, around: around(built.config) };
}

interface LlamaSource extends Place {
  vocab: Record<string, number>;
  merges: unknown;
}

function llama({ vocab, merges, config, path }: LlamaSource): BuiltTokenizer {
  const named = withDefaults(config, { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" });
  return {
    path,
    config: { ...named, padding_side: config.padding_side ?? "left" },
    json: llamaTokenizerJson({
      vocab,
      merges,
      unkToken: contentOf(named.unk_token ?? "<unk>"),
      legacy: config["legacy"] === true,
      addPrefixSpace: config["add_prefix_space"] !== false,
    }),
  };
}

/** Returns the tokens around every text where neither the class nor tokenizer.json says them. */
function around({ bos_token: bos, eos_token: eos, ...config }: TokenizerConfig): SurroundingTokens {
  return {
    before: config.add_bos_token && bos ? [contentOf(bos)] : [],
    after: config.add_eos_token && eos ? [contentOf(eos)] : [],
  };
}

/** Returns the config with `names` for absent fields. A null field is a choice and stays. */
function withDefaults(config: TokenizerConfig, names: Partial<TokenizerConfig>): TokenizerConfig {
  const said = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
  return { ...config, ...names, ...said };
}

/** Returns SentencePiece's compiled rules from any stage of a normalizer. */
function charsmapOf(normalizer: TokenizerStage | null): string | undefined {
  if (normalizer === null) return undefined;
  const inner = normalizer["normalizers"];
  const stages = normalizer.type === "Sequence" && Array.isArray(inner) ? inner : [normalizer];
  const found = stages.find((stage) => stage?.type === "Precompiled")?.precompiled_charsmap;
  return typeof found === "string" ? found : undefined;
}
