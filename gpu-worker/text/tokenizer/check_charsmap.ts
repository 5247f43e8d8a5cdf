// Checks SentencePiece's compiled rules (`precompiled_charsmap`): a trie in darts-clone's double array, then
// replacements that end in zero bytes. The Rust library reads them without checking bounds.

/** Returns whether every step from every unit, and every replacement, stays within the data. */
export function checkCharsmap(base64: string): boolean {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.fromBase64(base64);
  } catch {
    return false;
  }
  if (bytes.length < 4) return false;
  const view = new DataView(bytes.buffer);
  const trieBytes = view.getUint32(0, true);
  if (trieBytes % (4 * BLOCK) !== 0 || trieBytes === 0 || trieBytes > bytes.length - 4) return false;
  const replacements = bytes.subarray(4 + trieBytes);
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(replacements);
  } catch {
    return false;
  }
  const units = trieBytes / 4;
  for (let position = 0; position < units; position++) {
    const unit = view.getUint32(4 + 4 * position, true);
    if (unit >>> 31) {
      const start = unit & 0x7fffffff;
      // A replacement must begin at the start of a character.
      if (start >= replacements.length || (replacements[start]! & 0xc0) === 0x80) return false;
    } else {
      const offset = (unit >>> 10) << ((unit & 0x200) >>> 6);
      // A step's byte changes only the position within the block.
      if ((position ^ offset) >>> 0 >= units) return false;
    }
  }
  return true;
}

const BLOCK = 256;
