// Returns freed memory to the system. glibc keeps freed weights in its heap, where the next
// model's weights (which are mapped) cannot use the memory. Loading models in turn would otherwise
// need as much memory as all together.
import { keptLibc } from "./open_libc.ts";

const symbols = { malloc_trim: { parameters: ["usize"], result: "i32" } } as const;

const libc = keptLibc(symbols);

/** Returns freed memory to the system. Does nothing if the C library is not glibc. */
export function trimHeap(): void {
  libc()?.symbols.malloc_trim(0n);
}
