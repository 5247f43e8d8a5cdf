// Keeps freed memory for the next blocks while a graph is loaded.
import { keptLibc } from "./open_libc.ts";

const symbols = { mallopt: { parameters: ["i32", "i32"], result: "i32" } } as const;

/** glibc keeps more freed memory than this at the heap's end only while it is told to. */
const M_TRIM_THRESHOLD = -1;
/** Larger blocks are mapped apart from the heap. */
const M_MMAP_THRESHOLD = -3;
/** Blocks that a load keeps, each and together. A convolution's weights have 60 MB. */
const BLOCK_BYTES = 2 ** 27;
const KEPT_BYTES = 2 ** 30;
/** The largest value that glibc itself chooses, and twice as much at the heap's end. */
const MAPPED_BYTES = 2 ** 25;

let keepers = 0;
const libc = keptLibc(symbols);

/**
 * Lets glibc give freed memory to the next blocks, until the result is disposed of. It would otherwise unmap
 * large blocks and map fresh ones, several for each convolution that ONNX Runtime lays out anew. Whoever maps
 * memory also waits for `populateMemory`.
 */
export function keepFreedMemory(): Disposable {
  if (keepers++ === 0) set(BLOCK_BYTES, KEPT_BYTES);
  return {
    [Symbol.dispose]() {
      if (--keepers === 0) set(MAPPED_BYTES, 2 * MAPPED_BYTES);
    },
  };
}

function set(mapped: number, kept: number): void {
  const mallopt = libc()?.symbols.mallopt;
  mallopt?.(M_MMAP_THRESHOLD, mapped);
  mallopt?.(M_TRIM_THRESHOLD, kept);
}
