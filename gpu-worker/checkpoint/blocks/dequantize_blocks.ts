// Decodes GGUF's blocks to float32 with the bits of PyPI's `gguf` (gguf/quants.py), whose layouts
// these are. Each product of a scale and a whole number is exact in float32, so a number is rounded
// once, when it is stored.
import { BLOCK_TYPES, type GgufBlockType } from "../block_types.ts";
import { numberTable } from "./number_tables.ts";

/** Decodes the block that begins at byte `at` into `out` from element `to` on. */
type DecodeBlock = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

/** Decodes `bytes`, whole blocks of `type`. */
export function dequantizeBlocks(bytes: Uint8Array, type: GgufBlockType): Float32Array<ArrayBuffer> {
  const { elements, bytes: size } = BLOCK_TYPES[type];
  const decode = DECODERS[type];
  const values = new Float32Array(bytes.length / size * elements);
  for (let at = 0, to = 0; at < bytes.length; at += size, to += elements) decode(bytes, at, values, to);
  return values;
}

const DECODERS: Readonly<Record<GgufBlockType, DecodeBlock>> = {
  Q4_0(bytes, at, out, to) {
    const scale = half(bytes, at);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 2 + i]!;
      out[to + i] = scale * ((pair & 15) - 8);
      out[to + i + 16] = scale * ((pair >> 4) - 8);
    }
  },
  Q4_1(bytes, at, out, to) {
    const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 4 + i]!;
      out[to + i] = scale * (pair & 15) + least;
      out[to + i + 16] = scale * (pair >> 4) + least;
    }
  },
  Q5_0(bytes, at, out, to) {
    const scale = half(bytes, at);
    for (let i = 0; i < 32; i++) out[to + i] = scale * (fiveBits(bytes, at + 2, i) - 16);
  },
  Q5_1(bytes, at, out, to) {
    const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
    for (let i = 0; i < 32; i++) out[to + i] = scale * fiveBits(bytes, at + 4, i) + least;
  },
  Q8_0(bytes, at, out, to) {
    const scale = half(bytes, at);
    for (let i = 0; i < 32; i++) out[to + i] = scale * signed(bytes[at + 2 + i]!);
  },
  Q2_K(bytes, at, out, to) {
    const [scale, least] = [half(bytes, at + 80), half(bytes, at + 82)];
    for (let i = 0; i < 256; i++) {
      const both = bytes[at + (i >> 4)]!;
      const number = bytes[at + 16 + (i >> 7) * 32 + (i & 31)]! >> (((i >> 5) & 3) * 2) & 3;
      out[to + i] = scale * (both & 15) * number - least * (both >> 4);
    }
  },
  Q3_K(bytes, at, out, to) {
    const scale = half(bytes, at + 108);
    for (let i = 0; i < 256; i++) {
      const group = i >> 4;
      const low = bytes[at + 96 + (group & 7)]! >> (group >> 3) * 4 & 15;
      const high = bytes[at + 104 + (group & 3)]! >> (group >> 2) * 2 & 3;
      const number = bytes[at + 32 + (i >> 7) * 32 + (i & 31)]! >> ((i >> 5) & 3) * 2 & 3;
      // A bit that is missing subtracts 4.
      const offset = bytes[at + (i & 31)]! >> (i >> 5) & 1 ? 0 : 4;
      out[to + i] = scale * ((low | high << 4) - 32) * (number - offset);
    }
  },
  Q4_K(bytes, at, out, to) {
    const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
    for (let group = 0; group < 8; group++) {
      const [factor, offset] = sixBits(bytes, at + 4, group);
      for (let i = 0; i < 32; i++) {
        const number = bytes[at + 16 + (group >> 1) * 32 + i]! >> (group & 1) * 4 & 15;
        out[to + group * 32 + i] = scale * factor * number - least * offset;
      }
    }
  },
  Q5_K(bytes, at, out, to) {
    const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
    for (let group = 0; group < 8; group++) {
      const [factor, offset] = sixBits(bytes, at + 4, group);
      for (let i = 0; i < 32; i++) {
        const low = bytes[at + 48 + (group >> 1) * 32 + i]! >> (group & 1) * 4 & 15;
        const high = bytes[at + 16 + i]! >> group & 1;
        out[to + group * 32 + i] = scale * factor * (low | high << 4) - least * offset;
      }
    }
  },
  Q6_K(bytes, at, out, to) {
    const scale = half(bytes, at + 208);
    for (let i = 0; i < 256; i++) {
      const [part, within] = [i >> 7, i & 127];
      const low = bytes[at + part * 64 + (within & 63)]! >> (within >> 6) * 4 & 15;
      const high = bytes[at + 128 + part * 32 + (within & 31)]! >> (within >> 5) * 2 & 3;
      out[to + i] = scale * signed(bytes[at + 192 + (i >> 4)]!) * ((low | high << 4) - 32);
    }
  },
};

function half(bytes: Uint8Array, at: number): number {
  return numberTable("float16")[bytes[at]! | bytes[at + 1]! << 8]!;
}

function signed(byte: number): number {
  return byte << 24 >> 24;
}

/** Returns number `i` of a block of Q5_0 or Q5_1: 32 high bits, then 16 bytes of low halves. */
export function fiveBits(bytes: Uint8Array, at: number, i: number): number {
  const high = bytes[at + (i >> 3)]! >> (i & 7) & 1;
  return bytes[at + 4 + (i & 15)]! >> (i >> 4) * 4 & 15 | high << 4;
}

/** Returns scale and offset number `group` of Q4_K and Q5_K, of 6 bits each, eight pairs in 12 bytes. */
function sixBits(bytes: Uint8Array, at: number, group: number): [scale: number, offset: number] {
  const byte = (i: number) => bytes[at + i]!;
  if (group < 4) return [byte(group) & 63, byte(group + 4) & 63];
  const low = byte(group + 4);
  return [low & 15 | byte(group - 4) >> 2 & 48, low >> 4 | byte(group) >> 2 & 48];
}
