// The encodings with which text is decoded by mistake, in the order in which ftfy tries them.

export interface SingleByteEncoding {
  name: string;
  /** Whether unassigned bytes stand for themselves, and U+FFFD for a lost byte (0x1a). */
  sloppy: boolean;
  /** The byte of every character outside ASCII. */
  bytes: ReadonlyMap<string, number>;
}

/** The byte that sloppy encodings write for U+FFFD. */
const LOST_BYTE = 0x1a;

const LABELS: [name: string, label: string, sloppy: boolean][] = [
  ["windows-1252", "windows-1252", true],
  ["windows-1251", "windows-1251", true],
  ["windows-1250", "windows-1250", true],
  ["windows-1253", "windows-1253", true],
  ["windows-1254", "windows-1254", true],
  ["windows-1257", "windows-1257", true],
  ["iso-8859-2", "iso-8859-2", false],
  ["macroman", "macintosh", false],
];

/** IBM's code page 437, bytes 0x80 to 0xff. TextDecoder does not have it. */
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
  "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

const UPPER = Array.from({ length: 128 }, (_, i) => 128 + i);

export const SINGLE_BYTE_ENCODINGS: readonly SingleByteEncoding[] = [
  { name: "latin-1", sloppy: false, bytes: new Map(UPPER.map((byte) => [String.fromCharCode(byte), byte])) },
  ...LABELS.map(([name, label, sloppy]): SingleByteEncoding => {
    const decoder = new TextDecoder(label);
    const bytes = new Map(UPPER.map((byte) => {
      const character = decoder.decode(Uint8Array.of(byte));
      return [character === "\ufffd" ? String.fromCharCode(byte) : character, byte];
    }));
    if (sloppy) bytes.set("\ufffd", LOST_BYTE);
    return { name, sloppy, bytes };
  }),
  { name: "cp437", sloppy: false, bytes: new Map(Array.from(CP437, (character, i) => [character, 128 + i])) },
];

/**
 * Returns the bytes of `text` as characters U+0000 to U+00FF, or undefined if the encoding lacks a character.
 */
export function encodeSingleByte(text: string, { sloppy, bytes }: SingleByteEncoding): string | undefined {
  let encoded = "";
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const byte = code >= 128 ? bytes.get(character) : sloppy && code === LOST_BYTE ? undefined : code;
    if (byte === undefined) return undefined;
    encoded += String.fromCharCode(byte);
  }
  return encoded;
}
