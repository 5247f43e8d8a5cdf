// Port of ftfy.fix_text (ftfy 6.3.1), with which diffusers cleans Wan's prompts and transformers 4 cleans
// CLIP's. It repairs entities, text that was decoded in the wrong encoding, curly quotes, ligatures, wide and
// half-wide forms, line breaks and control characters.
import { toNfc } from "../../../protocol/wire/text.ts";
import { fixEncoding } from "./fix_encoding.ts";
import { unescapeEntities } from "./unescape_html.ts";

/** Repairs a text line by line. Each line is repaired until nothing changes any more. */
export function fixText(text: string): string {
  let unescape = true;
  return (text.match(/[^\n]*\n|[^\n]+/g) ?? []).map((line) => {
    // A text with tags counts as HTML from there on, and its entities are kept.
    unescape &&= !line.includes("<");
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const before = line;
      line = fixLine(unescape ? unescapeEntities(line) : line);
      if (line === before) break;
    }
    return line;
  }).join("");
}

/** ftfy has no such limit. Only a text written to attack it needs more rounds, in quadratic time. */
const MAX_ROUNDS = 16;

function fixLine(line: string): string {
  const fixed = fixEncoding(line)
    .replace(C1_CONTROLS, (control) => WINDOWS_1252.decode(Uint8Array.of(control.charCodeAt(0))))
    .replace(LIGATURES, (ligature) => LIGATURE_LETTERS[ligature]!)
    .replace(WIDE_OR_NARROW, (character) => character.normalize("NFKC"))
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(/\r\n|[\r\u2028\u2029\x85]/g, "\n")
    .toWellFormed()
    .replace(TERMINAL_ESCAPES, "")
    .replace(CONTROLS, "");
  return toNfc(fixed);
}

const C1_CONTROLS = /[\x80-\x9f]/g;
const WINDOWS_1252 = new TextDecoder("windows-1252");
/** Wide and half-wide forms of letters, which align with Chinese characters, and the wide space. */
const WIDE_OR_NARROW = /[\u3000\uff01-\uffef]/g;
// deno-lint-ignore no-control-regex -- it is what it looks for
const TERMINAL_ESCAPES = /\x1b\[[\p{Nd};]*[a-zA-Z]/gu;
// deno-lint-ignore no-control-regex -- it is what it looks for
const CONTROLS = /[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
const LIGATURE_LETTERS: Readonly<Record<string, string>> = {
  "Ĳ": "IJ",
  "ĳ": "ij",
  "ŉ": "ʼn",
  "Ǆ": "DŽ",
  "ǅ": "Dž",
  "ǆ": "dž",
  "Ǉ": "LJ",
  "ǈ": "Lj",
  "ǉ": "lj",
  "Ǌ": "NJ",
  "ǋ": "Nj",
  "ǌ": "nj",
  "Ǳ": "DZ",
  "ǲ": "Dz",
  "ǳ": "dz",
  "ﬀ": "ff",
  "ﬁ": "fi",
  "ﬂ": "fl",
  "ﬃ": "ffi",
  "ﬄ": "ffl",
  "ﬅ": "ſt",
  "ﬆ": "st",
};
const LIGATURES = new RegExp(`[${Object.keys(LIGATURE_LETTERS).join("")}]`, "g");
