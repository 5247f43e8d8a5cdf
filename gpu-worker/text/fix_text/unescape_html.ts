// HTML's entities as Python's html.unescape and ftfy 6.3.1 decode them.
import { decodeHTML, decodeHTMLStrict } from "entities";

/** html.unescape: names need no semicolon where HTML needs none. */
export function unescapeHtml(text: string): string {
  return text.replace(REFERENCE, (entity) => entity[1] === "#" ? decodeNumber(entity) : decodeHTML(entity));
}

const REFERENCE = /&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu;

/**
 * ftfy's unescape_html, again and again where an entity gives the & of another, e.g. `&amp;amp;lt;`: ftfy takes a round
 * for each, and time that grows with the square of their number.
 */
export function unescapeEntities(text: string): string {
  let decoded = "";
  let end = 0;
  for (let start = text.indexOf("&"); start >= 0; start = text.indexOf("&", Math.max(end, start + 1))) {
    decoded += text.slice(end, start);
    end = start;
    let value = "";
    // `&`, then what stands behind the last entity.
    for (let next = start + 1; (value === "" || value === "&") && next < text.length;) {
      ENTITY_REST.lastIndex = next;
      const rest = ENTITY_REST.exec(text)?.[0];
      const found = rest && decodeEntity(`&${rest}`);
      if (!found && found !== "") break;
      value = found;
      next += rest!.length;
      end = next;
      if (value === "") break;
    }
    if (end === start) {
      decoded += "&";
      end = start + 1;
    } else decoded += value;
  }
  return decoded + text.slice(end);
}

/** What follows the & of an entity. */
const ENTITY_REST = /#?[0-9A-Za-z]{1,24};/y;

/** The characters of one whole entity; undefined if it is none. */
function decodeEntity(entity: string): string | undefined {
  if (entity[1] === "#") {
    const number = decodeNumber(entity);
    return number.includes(";") ? undefined : number;
  }
  const decoded = decodeHTMLStrict(entity);
  if (decoded !== entity) return decoded;
  // Names in capitals that HTML does not know, where the same in small letters is one.
  const lower = entity.toLowerCase();
  if (entity !== entity.toUpperCase() || decodeHTML(entity) !== entity) return undefined;
  const small = decodeHTMLStrict(lower);
  return small === lower ? undefined : small.toUpperCase();
}

function decodeNumber(entity: string): string {
  const [, hex, decimal, end] = /^&#(?:[xX]([0-9a-fA-F]+)|([0-9]+))(;?)$/.exec(entity) ?? [];
  if (end === undefined) return entity;
  const code = hex ? parseInt(hex, 16) : parseInt(decimal!, 10);
  if (code === 0x0d) return "\r";
  if (code >= 0x80 && code < 0xa0) return WINDOWS_1252.decode(Uint8Array.of(code));
  if (code === 0 || code >= 0xd800 && code < 0xe000 || code > 0x10ffff) return "\ufffd";
  return isNoCharacter(code) ? "" : String.fromCodePoint(code);
}

const WINDOWS_1252 = new TextDecoder("windows-1252");

/** Control characters without a use in HTML, and what Unicode will never assign. */
function isNoCharacter(code: number): boolean {
  return code < 0x09 || code === 0x0b || code >= 0x0e && code < 0x20 || code === 0x7f ||
    code >= 0xfdd0 && code < 0xfdf0 || (code & 0xfffe) === 0xfffe;
}
