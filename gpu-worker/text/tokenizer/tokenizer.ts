// Text to token ids, as transformers' fast tokenizers with padding="max_length" and truncation=True.
import { Tokenizer as HuggingFaceTokenizer, Unigram } from "@huggingface/tokenizers";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { correctNormalizer } from "./charsmap_normalizer.ts";
import { correctTokenizerJson } from "./correct_tokenizer_json.ts";
import { readTokenizerFiles, type TokenizerFiles } from "./tokenizer_files.ts";

export interface EncodeOptions {
  /** Number of ids to return: longer texts are cut before the closing special tokens, shorter ones padded. */
  maxLength: number;
}

export interface Encoding {
  /** Token ids, `maxLength` of them. */
  ids: number[];
  /** 1 for a token of the text or a special one around it, 0 for padding. */
  attentionMask: number[];
}

/**
 * Opens the tokenizer in `folder`: tokenizer.json, or else vocab.json and merges.txt (CLIP), or else spiece.model (T5).
 * @throws {CheckpointError} if there is none, or what is there cannot be used.
 */
export function openTokenizer(folder: string): Tokenizer {
  const files = readTokenizerFiles(folder);
  try {
    return new Tokenizer(files);
  } catch (cause) {
    throw new CheckpointError(`Cannot use the tokenizer in ${folder}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

export class Tokenizer {
  /** Length that the model was made for, as tokenizer_config.json says; infinite where it says nothing. */
  readonly modelMaxLength: number;
  readonly #inner: HuggingFaceTokenizer;
  readonly #padId: number;
  readonly #padLeft: boolean;
  readonly #cutLeft: boolean;
  readonly #fuseUnknown: boolean;
  /** Special tokens around every text. */
  readonly #specials: number;

  constructor({ json, config }: TokenizerFiles) {
    // Where the model has unknown tokens, the library takes their name from here.
    const unk = config.unk_token?.content ?? json.model["unk_token"];
    this.#inner = new HuggingFaceTokenizer(correctTokenizerJson(json), { unk_token: unk });
    this.#inner.normalizer = correctNormalizer(this.#inner.normalizer);
    // The library's way to merge unknown characters takes time with the square of their number; encode() does it.
    this.#fuseUnknown = this.#inner.model instanceof Unigram;
    if (this.#fuseUnknown) this.#inner.model!.fuse_unk = false;
    this.modelMaxLength = config.model_max_length;
    this.#padLeft = config.padding_side === "left";
    this.#cutLeft = config.truncation_side === "left";
    this.#specials = this.#inner.encode("").ids.length;
    const padId = this.#inner.token_to_id(config.pad_token?.content ?? "");
    if (padId === undefined) {
      throw new RangeError(
        `'pad_token' must be in the vocabulary: current value is ${config.pad_token?.content}`,
      );
    }
    this.#padId = padId;
  }

  /** @throws {RangeError} if `maxLength` has no room for the special tokens. */
  encode(text: string, { maxLength }: EncodeOptions): Encoding {
    if (!Number.isSafeInteger(maxLength) || maxLength <= this.#specials) {
      throw new RangeError(
        `Cannot encode as 'maxLength' must be a whole number > ${this.#specials}: current value is ${maxLength}`,
      );
    }
    const tokens = this.#tokenize(text);
    const room = maxLength - this.#specials;
    const kept = this.#cutLeft ? tokens.slice(-room) : tokens.slice(0, room);
    const processed = this.#inner.post_processor?.(kept, null, true).tokens ?? kept;
    return this.#pad(processed.map((token) => this.#id(token)), maxLength);
  }

  /** Tokens without the special ones around them; an unknown one is the text itself. */
  #tokenize(text: string): string[] {
    const { tokens } = this.#inner.encode(text, { add_special_tokens: false });
    if (!this.#fuseUnknown) return tokens;
    const known = tokens.map((token) => this.#inner.token_to_id(token) !== undefined);
    return tokens.filter((_, i) => known[i] || i === 0 || known[i - 1]);
  }

  #id(token: string): number {
    const id = this.#inner.token_to_id(token) ?? this.#inner.model!.unk_token_id;
    if (id === undefined) {
      throw new CheckpointError(
        `Cannot encode ${JSON.stringify(token)} as it is not in the vocabulary, and there is no unk_token`,
      );
    }
    return id;
  }

  #pad(ids: number[], maxLength: number): Encoding {
    const padding = Array<number>(maxLength - ids.length).fill(this.#padId);
    const zeros = padding.map(() => 0);
    const ones = ids.map(() => 1);
    return this.#padLeft
      ? { ids: [...padding, ...ids], attentionMask: [...zeros, ...ones] }
      : { ids: [...ids, ...padding], attentionMask: [...ones, ...zeros] };
  }
}
