// Finds a tokenizer in a checkpoint folder and brings it into the form of tokenizer.json and tokenizer_config.json.
import { join } from "node:path";
import type { z } from "zod";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { addSpecialTokens } from "./add_special_tokens.ts";
import { clipTokenizerJson } from "./clip_tokenizer_json.ts";
import { parseSentencePieceModel } from "./sentencepiece_model.ts";
import { t5TokenizerJson } from "./t5_tokenizer_json.ts";
import { TOKENIZER_CONFIG, type TokenizerConfig } from "./tokenizer_config.ts";
import { TOKENIZER_JSON, type TokenizerJson } from "./tokenizer_json.ts";

export interface TokenizerFiles {
  json: TokenizerJson;
  config: TokenizerConfig;
}

/**
 * Reads tokenizer.json, or else vocab.json and merges.txt (CLIP), or else spiece.model (T5), and tokenizer_config.json.
 * @throws {CheckpointError} if there is none, or a file is damaged.
 */
export function readTokenizerFiles(folder: string): TokenizerFiles {
  const path = join(folder, "tokenizer_config.json");
  // Older checkpoints name their special tokens only in special_tokens_map.json.
  const merged = { ...readJson(join(folder, "special_tokens_map.json")), ...readJson(path) };
  const config = check(TOKENIZER_CONFIG, merged, path);
  return { json: addSpecialTokens(readTokenizer(folder, config), config), config };
}

function readTokenizer(folder: string, config: TokenizerConfig): TokenizerJson {
  const path = (name: string) => join(folder, name);
  const json = readJson(path("tokenizer.json"));
  if (json !== undefined) return check(TOKENIZER_JSON, json, path("tokenizer.json"));
  const vocab = readJson(path("vocab.json"));
  const merges = readFile(path("merges.txt"));
  if (vocab !== undefined && merges !== undefined) {
    const text = new TextDecoder().decode(merges);
    return check(TOKENIZER_JSON, clipTokenizerJson({ vocab, merges: text }, config), path("vocab.json"));
  }
  const spiece = readFile(path("spiece.model"));
  if (spiece !== undefined) {
    const model = parseSentencePieceModel(spiece, path("spiece.model"));
    return check(TOKENIZER_JSON, t5TokenizerJson(model, config), path("spiece.model"));
  }
  throw new CheckpointError(
    `Cannot load a tokenizer from ${folder} as it holds neither tokenizer.json nor vocab.json with merges.txt nor spiece.model`,
  );
}

function check<S extends z.ZodType>(schema: S, value: unknown, path: string): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path: where, message } = parsed.error.issues[0]!;
  throw new CheckpointError(`Cannot use ${path} as '${where.join(".")}' is malformed: ${message}`);
}

/** The parsed file, or undefined if there is none. */
function readJson(path: string): Record<string, unknown> | undefined {
  const bytes = readFile(path);
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${path} as it is not JSON`, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new CheckpointError(`Cannot read ${path} as it is not a JSON object`);
}

function readFile(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
