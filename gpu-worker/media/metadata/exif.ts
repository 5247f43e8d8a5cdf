// EXIF (CIPA DC-008) with the fields that hold metadata: UserComment for people, where AUTOMATIC1111 has its
// parameters, and MakerNote for this program.
import type { FileMetadata } from "./file_metadata.ts";
import { JSON_KEYWORD } from "./file_metadata.ts";
import { joinBytes } from "./join_bytes.ts";

const SOFTWARE = 0x0131;
const EXIF_IFD = 0x8769;
const MAKER_NOTE = 0x927c;
const USER_COMMENT = 0x9286;
const ASCII = 2;
const LONG = 4;
const UNDEFINED = 7;
/** Bytes of the TIFF header: byte order, 42, place of the first directory. */
const HEADER_BYTES = 8;
const ENTRY_BYTES = 12;

interface Entry {
  tag: number;
  type: number;
  bytes: Uint8Array;
}

/** Returns an EXIF block, in little-endian order and without orientation: the picture is upright. */
export function encodeExif({ parameters, json }: Partial<FileMetadata>): Uint8Array<ArrayBuffer> {
  const software = { tag: SOFTWARE, type: ASCII, bytes: utf8("Spectrum Edge\0") };
  const own: Entry[] = [
    ...json === undefined
      ? []
      : [{ tag: MAKER_NOTE, type: UNDEFINED, bytes: utf8(`${JSON_KEYWORD}\0${json}`) }],
    ...parameters === undefined
      ? []
      : [{ tag: USER_COMMENT, type: UNDEFINED, bytes: joinBytes([utf8("UNICODE\0"), utf16(parameters)]) }],
  ];
  const pointer = { tag: EXIF_IFD, type: LONG, bytes: new Uint8Array(4) };
  const first = encodeDirectory([software, pointer], HEADER_BYTES);
  const second = HEADER_BYTES + first.length;
  // The pointer's own length is known only with the first directory's.
  new DataView(pointer.bytes.buffer).setUint32(0, second, true);
  const header = Uint8Array.of(0x49, 0x49, 42, 0, HEADER_BYTES, 0, 0, 0);
  return joinBytes([
    header,
    encodeDirectory([software, pointer], HEADER_BYTES),
    encodeDirectory(own, second),
  ]);
}

/**
 * Returns our JSON from an EXIF block; undefined where there is none, or where another
 * program wrote the block.
 */
export function readExifJson(exif: Uint8Array): string | undefined {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const pointer = entriesAt(view, HEADER_BYTES).find(({ tag }) => tag === EXIF_IFD);
  const note = pointer && entriesAt(view, pointer.value).find(({ tag }) => tag === MAKER_NOTE);
  const text = note && new TextDecoder().decode(exif.subarray(note.value, note.value + note.count));
  return text?.startsWith(`${JSON_KEYWORD}\0`) ? text.slice(JSON_KEYWORD.length + 1) : undefined;
}

/** @param start the directory's place in the block, which its offsets count from */
function encodeDirectory(entries: readonly Entry[], start: number): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(2 + ENTRY_BYTES * entries.length + 4);
  const view = new DataView(head.buffer);
  view.setUint16(0, entries.length, true);
  const values: Uint8Array[] = [];
  let at = start + head.length;
  for (const [index, { tag, type, bytes }] of entries.entries()) {
    const entry = 2 + ENTRY_BYTES * index;
    view.setUint16(entry, tag, true);
    view.setUint16(entry + 2, type, true);
    view.setUint32(entry + 4, type === LONG ? bytes.length / 4 : bytes.length, true);
    if (bytes.length <= 4) head.set(bytes, entry + 8);
    else {
      view.setUint32(entry + 8, at, true);
      // Values begin at even places.
      const padded = joinBytes([bytes, new Uint8Array(bytes.length % 2)]);
      values.push(padded);
      at += padded.length;
    }
  }
  return joinBytes([head, ...values]);
}

function entriesAt(view: DataView, at: number): { tag: number; count: number; value: number }[] {
  if (view.byteLength < at + 2 || view.getUint16(0) !== 0x4949) return [];
  const count = view.getUint16(at, true);
  if (view.byteLength < at + 2 + ENTRY_BYTES * count) return [];
  return Array.from({ length: count }, (_, index) => {
    const entry = at + 2 + ENTRY_BYTES * index;
    return {
      tag: view.getUint16(entry, true),
      count: view.getUint32(entry + 4, true),
      value: view.getUint32(entry + 8, true),
    };
  });
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Big-endian, as readers of UserComment expect it. */
function utf16(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 * text.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i));
  return bytes;
}
