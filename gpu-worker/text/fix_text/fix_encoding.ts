// Repairs text that was encoded in UTF-8 and decoded as something else ("schÃ¶n"), by
// the rules of ftfy 6.3.1.
import { isBad, UTF8_DETECTOR } from "./mojibake.ts";
import { encodeSingleByte, SINGLE_BYTE_ENCODINGS } from "./single_byte_encodings.ts";

/** Undoes wrong decodings one after the other. */
export function fixEncoding(text: string): string {
  // Each repair shrinks the text, to half if all of it was wrong.
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const fixed = fixOnce(text);
    if (fixed === text) break;
    text = fixed;
  }
  return text;
}

const MAX_ROUNDS = 16;

function fixOnce(text: string): string {
  // deno-lint-ignore no-control-regex -- ASCII has them
  if (/^[\x00-\x7f]*$/.test(text) || !isBad(text)) return text;
  let latin1: string | undefined;
  for (const encoding of SINGLE_BYTE_ENCODINGS) {
    let bytes = encodeSingleByte(text, encoding);
    if (bytes === undefined) continue;
    if (encoding.name === "latin-1") latin1 = bytes;
    // In Mac Roman this byte may also be an en dash.
    if (encoding.name !== "macroman" && ALTERED_UTF8.test(bytes)) bytes = restoreA0(bytes);
    if (encoding.sloppy) bytes = bytes.replace(LOSSY_UTF8, "\xef\xbf\xbd");
    const decoded = decodeUtf8(bytes);
    if (decoded !== undefined) return decoded;
  }
  const fixed = text.replace(
    UTF8_DETECTOR,
    (part) => part.length < text.length && isBad(part) ? fixEncoding(part) : part,
  );
  if (fixed !== text) return fixed;
  // Latin-1's control characters were meant as Windows-1252's printable characters.
  if (latin1 !== undefined && !UNASSIGNED_1252.test(latin1)) {
    const decoded = WINDOWS_1252.decode(toBytes(latin1));
    if (decoded !== text) return decoded;
  }
  return text.replace(/[\x80-\x9f]/g, (control) => WINDOWS_1252.decode(Uint8Array.of(control.charCodeAt(0))));
}

const WINDOWS_1252 = new TextDecoder("windows-1252");
const UNASSIGNED_1252 = /[\x81\x8d\x8f\x90\x9d]/;

// The functions below work on bytes, written as characters U+0000 to U+00FF.

/** UTF-8 sequences in which a byte A0 became a space. Only likely characters are listed. */
const ALTERED_UTF8 = new RegExp(
  [
    "[\xc2\xc3\xc5\xce\xd0\xd9] ",
    "[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]",
    "[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] ",
    "\xf0 [\x80-\xbf][\x80-\xbf]",
    "\xf0[\x80-\xbf] [\x80-\xbf]",
    "\xf0[\x80-\xbf][\x80-\xbf] ",
  ].join("|"),
);
const EVERY_ALTERED_UTF8 = new RegExp(ALTERED_UTF8, "g");

/** "Ã la mode" is "à la mode", two words; Portuguese "Ã s" is one. */
const A_GRAVE_WORD = /\xc3 (?! |quele|quela|quilo|s )/g;

function restoreA0(bytes: string): string {
  return bytes.replace(A_GRAVE_WORD, "\xc3\xa0 ")
    .replace(EVERY_ALTERED_UTF8, (sequence) => sequence.replaceAll(" ", "\xa0"));
}

/** UTF-8 sequences with lost bytes: 0x1a, or at most one question mark. */
const LOSSY_UTF8 = new RegExp(
  [
    "[\xc2-\xdf]\x1a",
    "[\xc2\xc3][?]",
    "\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]",
    "\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]",
    "[\xe0-\xef][\x1a?][\x1a\x80-\xbf]",
    "[\xe0-\xef][\x1a\x80-\xbf][\x1a?]",
    "[\xf0-\xf4][\x1a?][\x1a\x80-\xbf][\x1a\x80-\xbf]",
    "[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]",
    "[\xf0-\xf4][\x1a\x80-\xbf][\x1a\x80-\xbf][\x1a?]",
    "\x1a",
  ].join("|"),
  "g",
);

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** A character above U+FFFF, encoded as two surrogates of three bytes each (CESU-8). */
const CESU8 = /\xed([\xa0-\xaf])([\x80-\xbf])\xed([\xb0-\xbf])([\x80-\xbf])/g;

/** Decodes UTF-8, CESU-8 and Java's C0 80. Returns undefined for other bytes. */
function decodeUtf8(bytes: string): string | undefined {
  const usual = bytes.replace(CESU8, (_, ...surrogates: string[]) => {
    const [a, b, c, d] = surrogates.slice(0, 4).map((byte) => byte.charCodeAt(0)) as [
      number,
      number,
      number,
      number,
    ];
    const code = 0x10000 + ((a & 0x0f) << 16) + ((b & 0x3f) << 10) + ((c & 0x0f) << 6) + (d & 0x3f);
    return String.fromCharCode(...new TextEncoder().encode(String.fromCodePoint(code)));
  }).replaceAll("\xc0\x80", "\0");
  try {
    return UTF8.decode(toBytes(usual));
  } catch {
    return undefined;
  }
}

function toBytes(bytes: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes.length }, (_, i) => bytes.charCodeAt(i));
}
