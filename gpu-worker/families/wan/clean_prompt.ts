// Prompts as Wan was trained on them: prompt_clean of diffusers' WanPipeline, that is ftfy 6.3.1, HTML's entities twice,
// and single spaces. Of ftfy it lacks the repair of text that was decoded in the wrong encoding ("schÃ¶n").
import { decodeHTML } from "entities";

/** The same prompt in plain characters: straight quotes, no entities, no control characters, no wide or half-wide forms. */
export function cleanPrompt(text: string): string {
  return decodeHTML(decodeHTML(fixText(text))).replace(SPACES, " ").replace(/^ | $/g, "");
}

/** What Python takes for white space; JavaScript has others. */
// deno-lint-ignore no-control-regex -- some of them are
const SPACES = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;

/** ftfy.fix_text: line by line, each until nothing changes any more. */
function fixText(text: string): string {
  let unescape = true;
  return (text.match(/[^\n]*\n|[^\n]+/g) ?? []).map((line) => {
    // Text with tags is taken for HTML, whose entities are meant; so is whatever follows it.
    unescape &&= !line.includes("<");
    let before: string;
    do {
      before = line;
      line = fixLine(unescape ? line.replace(ENTITY, (entity) => decodeHTML(entity)) : line);
    } while (line !== before);
    return line;
  }).join("");
}

function fixLine(line: string): string {
  return line
    .replace(C1_CONTROLS, (control) => WINDOWS_1252.decode(Uint8Array.of(control.charCodeAt(0))))
    .replace(LIGATURES, (ligature) => LIGATURE_LETTERS[ligature]!)
    .replace(WIDE_OR_NARROW, (character) => character.normalize("NFKC"))
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(/\r\n|[\r\u2028\u2029\x85]/g, "\n")
    .toWellFormed()
    .replace(TERMINAL_ESCAPES, "")
    .replace(CONTROLS, "")
    .normalize("NFC");
}

const ENTITY = /&#?[0-9A-Za-z]{1,24};/g;
const C1_CONTROLS = /[\x80-\x9f]/g;
const WINDOWS_1252 = new TextDecoder("windows-1252");
/** Forms of letters that line up with Chinese characters, and the space between those. */
const WIDE_OR_NARROW = /[\u3000\uff01-\uffef]/g;
// deno-lint-ignore no-control-regex -- it is what it looks for
const TERMINAL_ESCAPES = /\x1b\[[\d;]*[a-zA-Z]/g;
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
