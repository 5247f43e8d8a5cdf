// SentencePiece's normalisation rules, compiled into a trie (`precompiled_charsmap`), as Rust's spm_precompiled applies
// them. @huggingface/tokenizers 0.2.0 approximates them with NFKC.
import { Normalizer, PrecompiledNormalizer, SequenceNormalizer } from "@huggingface/tokenizers";

/** Returns `normalizer` with every step that has compiled rules replaced by one that follows them. */
export function correctNormalizer(normalizer: Normalizer | null): Normalizer | null {
  if (normalizer instanceof PrecompiledNormalizer) return new CharsmapNormalizer(normalizer);
  if (normalizer instanceof SequenceNormalizer) {
    normalizer.normalizers = normalizer.normalizers.map(correctNormalizer);
  }
  return normalizer;
}

/** Graphemes of so many UTF-8 bytes are looked up whole, longer ones character by character. */
const MAX_WHOLE_BYTES = 5;
const REMEMBERED = 10_000;

class CharsmapNormalizer extends Normalizer {
  readonly #trie: Uint32Array;
  /** Replacements in UTF-8, each ended by a zero byte. */
  readonly #replacements: Uint8Array;
  readonly #segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
  readonly #remembered = new Map<string, string>();

  constructor({ config, charsmap }: PrecompiledNormalizer) {
    super(config);
    const bytes = Uint8Array.fromBase64(charsmap ?? "");
    const view = new DataView(bytes.buffer);
    const trieBytes = bytes.length < 4 ? 0 : view.getUint32(0, true);
    this.#trie = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.#replacements = bytes.subarray(4 + trieBytes);
  }

  override normalize(text: string): string {
    let normalized = "";
    for (const { segment } of this.#segmenter.segment(text)) normalized += this.#grapheme(segment);
    return normalized;
  }

  #grapheme(grapheme: string): string {
    const known = this.#remembered.get(grapheme);
    if (known !== undefined) return known;
    const bytes = UTF8.encode(grapheme);
    const whole = bytes.length <= MAX_WHOLE_BYTES ? this.#replace(bytes) : undefined;
    const normalized = whole ??
      Array.from(grapheme, (character) => this.#replace(UTF8.encode(character)) ?? character).join("");
    if (this.#remembered.size >= REMEMBERED) this.#remembered.clear();
    this.#remembered.set(grapheme, normalized);
    return normalized;
  }

  /** What the shortest rule that `bytes` begin with puts in the place of all of them. */
  #replace(bytes: Uint8Array): string | undefined {
    let position = unitOffset(this.#trie[0] ?? 0);
    for (const byte of bytes) {
      position ^= byte;
      const unit = this.#trie[position] ?? 0;
      if (unitLabel(unit) !== byte) return undefined;
      position ^= unitOffset(unit);
      if (unitHasLeaf(unit)) return this.#replacement(unitValue(this.#trie[position] ?? 0));
    }
    return undefined;
  }

  #replacement(start: number): string {
    const end = this.#replacements.indexOf(0, start);
    return TEXT.decode(this.#replacements.subarray(start, end < 0 ? undefined : end));
  }
}

const UTF8 = new TextEncoder();
const TEXT = new TextDecoder();

// A unit of darts-clone's double array: a label to check, the offset to the children, or a leaf's value.
const unitHasLeaf = (unit: number) => (unit >>> 8 & 1) === 1;
const unitValue = (unit: number) => unit & 0x7fffffff;
const unitLabel = (unit: number) => unit & 0x800000ff;
const unitOffset = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);
