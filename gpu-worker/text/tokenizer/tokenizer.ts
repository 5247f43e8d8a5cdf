// Turns text into token ids like transformers' tokenizers with padding="max_length" and truncation=True,
// using the same Rust library.
import { AddedToken, templateProcessing, Tokenizer as RustTokenizer } from "tokenizers";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { fixText } from "../fix_text/fix_text.ts";
import { stagesOf } from "./check_tokenizer_json.ts";
import { contentOf } from "./resolve_tokens.ts";
import { readTokenizerFiles } from "./tokenizer_files.ts";
import type { TokenizerFiles } from "./tokenizer_parts.ts";
import type { TokenizerJson } from "./tokenizer_json.ts";
import { readSurroundings, type TokenizerSurroundings } from "./tokenizer_surroundings.ts";

export interface EncodeOptions {
  /**
   * Number of ids to return. Longer texts are cut before the closing special
   * tokens, shorter texts are padded.
   */
  maxLength: number;
}

export interface Encoding {
  /** `maxLength` token ids. */
  ids: number[];
  /** 1 for tokens of the text and the special tokens around it, 0 for padding. */
  attentionMask: number[];
  /** Number of the text's tokens that were cut off. */
  dropped: number;
}

/**
 * Opens the tokenizer in `folder`: the first of tokenizer.json, vocab.json with merges.txt (CLIP, Qwen),
 * spiece.model (T5) and tokenizer.model (LLaMA) that exists. The checkpoint around the folder tells its class
 * and the text encoder's length.
 * @throws {CheckpointError} if there is none, or if it cannot be used.
 */
export function openTokenizer(folder: string): Tokenizer {
  const surroundings = readSurroundings(folder);
  const files = readTokenizerFiles(folder, surroundings.className);
  try {
    return new Tokenizer(files, surroundings);
  } catch (cause) {
    throw new CheckpointError(
      `Cannot use the tokenizer in ${folder}: ${(cause as Error).message.slice(0, 500)}`,
      {
        cause,
      },
    );
  }
}

export class Tokenizer {
  /**
   * Largest number of tokens, as tokenizer_config.json and the text encoder say; Infinity if neither does.
   */
  readonly modelMaxLength: number;
  readonly #inner: RustTokenizer;
  readonly #prepare: (text: string) => string;
  readonly #padId: number;
  readonly #padLeft: boolean;
  readonly #cutFrom: "left" | "right";
  /** Number of special tokens around every text. */
  readonly #specials: number;

  constructor(files: TokenizerFiles, surroundings: TokenizerSurroundings = {}) {
    const { config } = files;
    if (config.split_special_tokens) {
      // The Rust library's binding for Node has no such switch.
      throw new TypeError("'split_special_tokens' must be false: current value is true");
    }
    const { maxPositions = Infinity } = surroundings;
    this.#prepare = cleansText(files, surroundings) ? fixText : (text) => text.toWellFormed();
    this.#inner = createTokenizer(files);
    this.modelMaxLength = Math.min(config.model_max_length ?? config.max_len ?? Infinity, maxPositions);
    this.#padLeft = config.padding_side === "left";
    this.#cutFrom = config.truncation_side ?? "right";
    this.#padId = idOf(this.#inner, contentOf(config.pad_token!));
    this.#specials = specialCount(files);
    if (this.modelMaxLength <= this.#specials) {
      throw new RangeError(
        `'model_max_length' must be > ${this.#specials}: current value is ${this.modelMaxLength}`,
      );
    }
  }

  /**
   * Encodes a text.
   * @throws {RangeError} if `maxLength` has no room for the special tokens.
   */
  async encode(text: string, { maxLength }: EncodeOptions): Promise<Encoding> {
    if (!Number.isSafeInteger(maxLength) || maxLength < Math.max(1, this.#specials)) {
      throw new RangeError(
        `Cannot encode as 'maxLength' must be a whole number >= ${Math.max(1, this.#specials)}: ` +
          `current value is ${maxLength}`,
      );
    }
    const encoding = await this.#inner.encode(this.#prepare(text), null, { addSpecialTokens: false });
    const room = maxLength - this.#specials;
    const dropped = Math.max(0, encoding.getLength() - room);
    if (dropped > 0) encoding.truncate(room, 0, this.#cutFrom);
    return { ...this.#pad(this.#inner.postProcess(encoding, null, true).getIds(), maxLength), dropped };
  }

  /** Returns the ids of a text, without special tokens and padding. */
  async textIds(text: string): Promise<number[]> {
    return (await this.#inner.encode(this.#prepare(text), null, { addSpecialTokens: false })).getIds();
  }

  /**
   * Returns what stands around every text of a tokenizer with one special token on each side,
   * and the padding after it.
   */
  async frame(): Promise<{ before: number[]; after: number[]; pad: number }> {
    const empty = await this.#inner.encode("", null, { addSpecialTokens: true });
    const [before, after, ...more] = empty.getIds();
    if (before === undefined || after === undefined || more.length > 0) {
      throw new TypeError(
        `Cannot split a prompt as its tokenizer adds ${empty.getLength()} tokens instead of 2`,
      );
    }
    return { before: [before], after: [after], pad: this.#padId };
  }

  #pad(ids: number[], maxLength: number): Omit<Encoding, "dropped"> {
    const padding = Array<number>(maxLength - ids.length).fill(this.#padId);
    const zeros = padding.map(() => 0);
    const ones = ids.map(() => 1);
    return this.#padLeft
      ? { ids: [...padding, ...ids], attentionMask: [...zeros, ...ones] }
      : { ids: [...ids, ...padding], attentionMask: [...ones, ...zeros] };
  }
}

/** Returns whether ftfy cleans CLIP's text first: transformers 4's CLIPTokenizer did, 5's does not. */
function cleansText(
  { config }: TokenizerFiles,
  { className, transformersVersion }: TokenizerSurroundings,
): boolean {
  return (className ?? config.tokenizer_class) === "CLIPTokenizer" &&
    /^[0-4]\./.test(transformersVersion ?? "");
}

function createTokenizer({ json, config, added, listed, around }: TokenizerFiles): RustTokenizer {
  const tokenizer = parse(json);
  // transformers would add an unknown padding token to the vocabulary, but the
  // text encoder has no row for it.
  const pad = config.pad_token ? contentOf(config.pad_token) : undefined;
  if (pad === undefined || tokenizer.tokenToId(pad) === null && !listed.has(pad)) {
    throw new RangeError(`'pad_token' must be in the vocabulary: current value is ${pad?.slice(0, 200)}`);
  }
  tokenizer.addAddedTokens(
    added.map(({ content, special, single_word, lstrip, rstrip, normalized }) =>
      new AddedToken(content, special ?? false, {
        singleWord: single_word ?? false,
        leftStrip: lstrip ?? false,
        rightStrip: rstrip ?? false,
        normalized: normalized ?? !special,
      })
    ),
  );
  if (around) {
    // These names are used only in the template.
    const before = around.before.map((token, i): [string, number] => [`before${i}`, idOf(tokenizer, token)]);
    const after = around.after.map((token, i): [string, number] => [`after${i}`, idOf(tokenizer, token)]);
    const template = [...before.map(([name]) => name), "$A", ...after.map(([name]) => name)].join(" ");
    tokenizer.setPostProcessor(templateProcessing(template, null, [...before, ...after]));
  }
  return tokenizer;
}

function parse(json: TokenizerJson): RustTokenizer {
  try {
    return RustTokenizer.fromString(
      JSON.stringify({ ...json, truncation: null, padding: null, decoder: null }),
    );
  } catch (cause) {
    // Rust reports the character, not the stage.
    const { normalizer, pre_tokenizer, post_processor } = json;
    const steps = [normalizer, pre_tokenizer, post_processor].flatMap(stagesOf).map(({ type }) =>
      type.slice(0, 50)
    );
    throw new Error(`${(cause as Error).message}; its steps are ${steps.slice(0, 20).join(", ") || "none"}`, {
      cause,
    });
  }
}

function idOf(tokenizer: RustTokenizer, token: string): number {
  const id = tokenizer.tokenToId(token);
  if (id === null) throw new RangeError(`${JSON.stringify(token.slice(0, 200))} is not in the vocabulary`);
  return id;
}

function specialCount({ json, around }: TokenizerFiles): number {
  if (around) return around.before.length + around.after.length;
  let count = 0;
  // Rust recognizes each stage by its fields, with or without a type.
  for (const { sep, cls, single, special_tokens: tokens } of stagesOf(json.post_processor)) {
    if (sep && cls) count += 2;
    if (!Array.isArray(single)) continue;
    for (const { SpecialToken } of single as { SpecialToken?: { id: string } }[]) {
      if (SpecialToken) count += (tokens as Record<string, { ids: unknown[] }>)[SpecialToken.id]!.ids.length;
    }
  }
  return count;
}
