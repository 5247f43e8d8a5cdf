// Finds a tokenizer in a checkpoint folder and converts it to the form of
// tokenizer.json, as transformers 5 does.
import { join } from "node:path";
import type { z } from "zod";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { checkTokenizerJson } from "./check_tokenizer_json.ts";
import { readJsonFile } from "./read_json_file.ts";
import { readVocabulary } from "./read_vocabulary.ts";
import { resolveConfig, tokensToAdd } from "./resolve_tokens.ts";
import { ADDED_TOKENS, TOKENIZER_CONFIG, type TokenizerConfig } from "./tokenizer_config.ts";
import type { TokenizerFiles } from "./tokenizer_parts.ts";
import { TOKENIZER_JSON, type TokenizerJson } from "./tokenizer_json.ts";

/**
 * Reads the first of tokenizer.json, vocab.json with merges.txt (CLIP, Qwen), spiece.model (T5) and
 * tokenizer.model (LLaMA) that exists, and the files beside it.
 * @param className the class in model_index.json. @default the class in tokenizer_config.json
 * @throws {CheckpointError} if there is none, or if a file is damaged.
 */
export function readTokenizerFiles(folder: string, className?: string): TokenizerFiles {
  const read = <S extends z.ZodType>(name: string, schema: S) =>
    check(schema, readJsonFile(join(folder, name)) ?? {}, join(folder, name));
  const own = read("tokenizer_config.json", TOKENIZER_CONFIG);
  const path = join(folder, "tokenizer.json");
  const value = readJsonFile(path);
  const json = value && check(TOKENIZER_JSON, value, path);
  const { config, listed } = resolveConfig({
    config: own,
    specialTokensMap: read("special_tokens_map.json", SPECIAL_TOKENS_MAP),
    addedTokens: read("added_tokens.json", ADDED_TOKENS),
    listed: json?.added_tokens ?? [],
  });
  const built = readVocabulary(folder, {
    json,
    config,
    className: className ?? own.tokenizer_class ?? undefined,
  });
  const checked = check(TOKENIZER_JSON, built.json, built.path);
  const known = checked.added_tokens.map(({ content }) => content);
  const files = {
    json: checked,
    config: withJsonSettings(built.config, json),
    added: tokensToAdd({ config: built.config, listed }, known),
    listed: new Set(listed.map(({ content }) => content)),
    ...built.around && { around: built.around },
  };
  checkTokenizerJson(files, built.path);
  return files;
}

const SPECIAL_TOKENS_MAP = TOKENIZER_CONFIG.omit({
  extra_ids: true,
  truncation_side: true,
  split_special_tokens: true,
  added_tokens_decoder: true,
});

/** Fills in what a tokenizer.json that was saved in use says about padding and cutting. */
function withJsonSettings(config: TokenizerConfig, json: TokenizerJson | undefined): TokenizerConfig {
  const { padding, truncation } = json ?? {};
  return {
    ...config,
    pad_token: config.pad_token ?? padding?.pad_token,
    padding_side: config.padding_side ?? sideOf(padding?.direction),
    truncation_side: config.truncation_side ?? sideOf(truncation?.direction),
  };
}

function sideOf(direction: "Left" | "Right" | undefined): "left" | "right" | undefined {
  return direction && (direction === "Left" ? "left" : "right");
}

function check<S extends z.ZodType>(schema: S, value: unknown, path: string): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path: where, message } = parsed.error.issues[0]!;
  throw new CheckpointError(
    `Cannot use ${path} as '${where.join(".").slice(0, 200)}' is malformed: ${message}`,
  );
}
