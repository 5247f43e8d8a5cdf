// The one place where text from outside becomes text of ours: prompts, JSON and files.

/** Bytes that are no text. */
export class TextError extends Error {
  override readonly name = "TextError";
  /** The first line at fault, from 1. */
  readonly line: number;

  constructor(line: number, reason: string) {
    super(`line ${line} ${reason}`);
    this.line = line;
  }
}

/**
 * Returns a prompt in the one spelling that has a key: well-formed, and in NFC. Half of a surrogate pair
 * becomes U+FFFD, as it does in UTF-8. Control characters stay for the tokenizer to judge.
 */
export function cleanText(text: string): string {
  return toNfc(text.toWellFormed());
}

/** More marks on one letter than any script has: Unicode's Stream-Safe Text Format allows 30. */
const TOO_MANY_MARKS = /\p{M}{64}/u;

/**
 * Returns a text in NFC. A text with too many marks in a row stays as it is: sorting them takes a time that
 * grows with the square of their number, two seconds for 32,000.
 */
export function toNfc(text: string): string {
  return TOO_MANY_MARKS.test(text) ? text : text.normalize("NFC");
}

/** Parses JSON into keys and strings that are well-formed. @throws {SyntaxError} */
export function parseJsonText(json: string): unknown {
  const value: unknown = JSON.parse(json);
  // Bytes that were decoded hold whole pairs; only an escape makes half of one.
  return /\\u[dD][89a-fA-F]/.test(json) ? wellFormed(value) : value;
}

function wellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.toWellFormed(), wellFormed(inner)]),
  );
}

type Encoding = "utf-8" | "utf-16le" | "utf-16be";

/**
 * Decodes the text of a file: UTF-8, or the encoding that its byte order mark names, UTF-16 included, as
 * Windows PowerShell writes it.
 * @throws {TextError} naming the first line that is no text
 */
export function decodeText(bytes: Uint8Array): string {
  const encoding = encodingOf(bytes);
  const name = encoding === "utf-8" ? "UTF-8" : "UTF-16, as its byte order mark says";
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new TextError(firstWrongLine(bytes, encoding), `is not in ${name}`);
  }
  // UTF-16 without a mark, or a file of another kind, passes for UTF-8.
  const at = text.indexOf("\0");
  if (at < 0) return text;
  throw new TextError(text.slice(0, at).split("\n").length, "holds a NUL, which no text does");
}

function encodingOf([first, second]: Uint8Array): Encoding {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
}

function firstWrongLine(bytes: Uint8Array, encoding: Encoding): number {
  const unit = encoding === "utf-8" ? 1 : 2;
  const low = encoding === "utf-16be" ? 1 : 0;
  const isLineFeed = (at: number) => bytes[at + low] === 10 && (unit === 1 || bytes[at + 1 - low] === 0);
  const decoder = new TextDecoder(encoding, { fatal: true });
  let line = 1;
  for (let start = 0, at = 0; at < bytes.length; at += unit) {
    if (!isLineFeed(at)) continue;
    try {
      decoder.decode(bytes.subarray(start, at));
    } catch {
      return line;
    }
    start = at + unit;
    line++;
  }
  return line;
}
