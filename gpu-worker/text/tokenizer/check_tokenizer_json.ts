// Rejects files that would abort or hang the Rust library, which aborts the
// process if a file contradicts itself.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { checkCharsmap } from "./check_charsmap.ts";
import { checkPattern } from "./check_pattern.ts";
import type { TokenizerFiles } from "./tokenizer_parts.ts";
import type { TokenizerStage } from "./tokenizer_json.ts";

/** Published tokens have at most a few hundred characters. */
const MAX_TOKEN_LENGTH = 1000;
const MAX_ADDED_CHARACTERS = 4_000_000;

/**
 * Checks a tokenizer.json before the Rust library reads it.
 * @throws {CheckpointError} naming the part of `path` that cannot be used.
 */
export function checkTokenizerJson({ json, added }: TokenizerFiles, path: string): void {
  const refuse = (field: string, rule: string, value: unknown): never => {
    const shown = String(value).slice(0, 200);
    throw new CheckpointError(`Cannot use ${path} as '${field}' must be ${rule}: current value is ${shown}`);
  };
  const { vocab } = json.model;
  const names = Array.isArray(vocab) ? vocab.map(([token]) => token) : Object.keys(vocab);
  const contents = [...json.added_tokens, ...added].map(({ content }) => content);
  for (const [field, list] of [["vocab", names], ["added_tokens", contents]] as const) {
    const long = list.find((name) => name.length > MAX_TOKEN_LENGTH);
    if (long !== undefined) refuse(field, `names of at most ${MAX_TOKEN_LENGTH} characters`, long);
  }
  const characters = contents.reduce((sum, { length }) => sum + length, 0);
  if (characters > MAX_ADDED_CHARACTERS) {
    refuse("added_tokens", `at most ${MAX_ADDED_CHARACTERS} characters`, `${characters} characters`);
  }
  const { unk_id: unkId, unk_token: unkToken, byte_fallback: bytes } = json.model;
  if (json.model.type === "Unigram" && !Number.isInteger(unkId) && bytes !== true) {
    refuse("model.unk_id", "an id", unkId);
  }
  if (json.model.type === "WordLevel" && !names.includes(unkToken as string)) {
    refuse("model.unk_token", "in the vocabulary", unkToken);
  }
  for (const part of ["normalizer", "pre_tokenizer", "post_processor"] as const) {
    for (const stage of stagesOf(json[part])) {
      const { Regex: pattern } = (stage["pattern"] ?? {}) as { Regex?: unknown };
      if (typeof pattern === "string") {
        const fault = checkPattern(pattern);
        if (fault) refuse(`${part}.pattern`, fault, pattern);
      }
      const charsmap = stage["precompiled_charsmap"];
      if (typeof charsmap === "string" && !checkCharsmap(charsmap)) {
        refuse(`${part}.precompiled_charsmap`, "rules as SentencePiece compiles them", charsmap);
      }
      const unknown = unknownInTemplate(stage);
      if (unknown !== undefined) {
        refuse(`${part}.special_tokens`, "all that the template names", `without ${unknown}`);
      }
    }
  }
}

/** Returns a stage and all stages nested in it. */
export function stagesOf(stage: TokenizerStage | null): TokenizerStage[] {
  if (stage === null) return [];
  const inner = ["normalizers", "pretokenizers", "processors"].flatMap((key) => stage[key] ?? []);
  return [stage, ...(inner as TokenizerStage[]).flatMap(stagesOf)];
}

/**
 * Returns a special token that a template uses and does not define. Rust recognizes a template by its fields,
 * with or without a type.
 */
function unknownInTemplate({ single, pair, special_tokens: tokens }: TokenizerStage): string | undefined {
  const pieces = [single, pair].filter(Array.isArray)
    .flat() as ({ SpecialToken?: { id?: unknown } } | null)[];
  const ids = pieces.map((piece) => piece?.SpecialToken?.id).filter((id) => typeof id === "string");
  return ids.find((id) => !Object.hasOwn((tokens ?? {}) as object, id));
}
