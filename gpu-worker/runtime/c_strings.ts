// Lists of strings in C's form: an array of pointers to NUL-terminated UTF-8.
import { cString } from "./c_string.ts";
import { addressOf } from "./ort_api.ts";

/** Lists that native code may be reading. This set keeps them from garbage collection. */
const held = new Set<CStrings>();

/** A `const char* const*`. Native code may read it while this object is reachable. */
export class CStrings {
  /** The strings themselves. */
  readonly texts: readonly string[];
  /** Pointers to the strings. */
  readonly pointers: BigUint64Array<ArrayBuffer>;
  /** Address of the first pointer. */
  readonly address: bigint;
  /** Keeps the strings alive, as `pointers` holds only addresses. */
  readonly #strings: readonly Uint8Array<ArrayBuffer>[];

  constructor(texts: readonly string[]) {
    this.texts = texts;
    this.#strings = texts.map(cString);
    this.pointers = BigUint64Array.from(this.#strings, addressOf);
    this.address = addressOf(this.pointers);
  }

  /** Calls `call` with lists that live until it returns, even if nothing else refers to them. */
  static hold<T>(lists: readonly CStrings[], call: () => T): T {
    for (const list of lists) held.add(list);
    try {
      return call();
    } finally {
      for (const list of lists) held.delete(list);
    }
  }
}
