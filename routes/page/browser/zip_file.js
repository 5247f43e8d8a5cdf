// Several files as one ZIP archive, stored as they are: pictures and videos are compressed already.

/** @typedef {{ name: string, content: Blob }} ZippedFile */

const encoder = new TextEncoder();
/** Names are UTF-8. */
const FLAGS = 0x0800;
const VERSION = 20;
/** 1980-01-01: ZIP's own form of dates begins there. */
const DATE = 0x21;

/**
 * Names that occur twice are numbered.
 *
 * @param {readonly ZippedFile[]} files Less than 4 GB in all.
 * @returns {Promise<Blob>}
 */
export async function zipFile(files) {
  /** @type {(Blob | Uint8Array<ArrayBuffer>)[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let offset = 0;
  for (const { name, content } of distinct(files)) {
    const bytes = new Uint8Array(await content.arrayBuffer());
    const encoded = encoder.encode(name);
    // From the version to the lengths, both kinds of header say the same.
    const common = [
      ...[u16(VERSION), u16(FLAGS), u16(0), u16(0), u16(DATE)],
      ...[u32(crc32(bytes)), u32(bytes.length), u32(bytes.length), u16(encoded.length), u16(0)],
    ];
    const header = join([u32(0x04034b50), ...common, encoded]);
    directory.push(join([
      ...[u32(0x02014b50), u16(VERSION), ...common],
      ...[u16(0), u16(0), u16(0), u32(0), u32(offset), encoded],
    ]));
    parts.push(header, content);
    offset += header.length + bytes.length;
  }
  const listed = join(directory);
  const end = join([
    ...[u32(0x06054b50), u16(0), u16(0), u16(files.length), u16(files.length)],
    ...[u32(listed.length), u32(offset), u16(0)],
  ]);
  return new Blob([...parts, listed, end], { type: "application/zip" });
}

/** @param {readonly ZippedFile[]} files */
function distinct(files) {
  /** @type {Map<string, number>} */
  const seen = new Map();
  return files.map(({ name, content }) => {
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return { name: count === 0 ? name : name.replace(/(?=\.\w+$)/, `-${count + 1}`), content };
  });
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 255] ?? 0);
  return ~crc >>> 0;
}

/** @param {number} value */
function u16(value) {
  return new Uint8Array(new Uint16Array([value]).buffer);
}

/** @param {number} value Browsers run on little-endian machines, which is ZIP's order. */
function u32(value) {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

/** @param {readonly Uint8Array[]} parts */
function join(parts) {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
