// Decodes HTML entities like Python's html.unescape and ftfy 6.3.1.
import { decodeHTML, decodeHTMLStrict } from "entities";

/** Decodes entities like html.unescape. The semicolon is optional where HTML allows that. */
export function unescapeHtml(text: string): string {
  return text.replace(REFERENCE, (entity) => entity[1] === "#" ? decodeNumber(entity) : decodeHTML(entity));
}

const REFERENCE = /&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu;

/**
 * Decodes entities like ftfy's unescape_html, repeatedly where an entity yields the & of another, e.g.
 * `&amp;amp;lt;`. ftfy needs a round for each of them, and therefore quadratic time.
 */
export function unescapeEntities(text: string): string {
  let decoded = "";
  let end = 0;
  for (let start = text.indexOf("&"); start >= 0; start = text.indexOf("&", Math.max(end, start + 1))) {
    decoded += text.slice(end, start);
    end = start;
    let value = "";
    // Decodes `&` and the text after the last decoded entity.
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

/** The part of an entity after its &. */
const ENTITY_REST = /#?[0-9A-Za-z]{1,24};/y;

/** Returns the characters of one complete entity, or undefined if there is no such entity. */
function decodeEntity(entity: string): string | undefined {
  if (entity[1] === "#") {
    const number = decodeNumber(entity);
    return number.includes(";") ? undefined : number;
  }
  const decoded = decodeHTMLStrict(entity);
  if (decoded !== entity) return decoded;
  // ftfy also decodes an unknown name in capitals if the name in small letters is known.
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

/** Control characters that HTML does not use, and code points that Unicode never assigns. */
function isNoCharacter(code: number): boolean {
  return code < 0x09 || code === 0x0b || code >= 0x0e && code < 0x20 || code === 0x7f ||
    code >= 0xfdd0 && code < 0xfdf0 || (code & 0xfffe) === 0xfffe;
}
