// Gives fresh memory its pages before its first use.
import { keptLibc } from "./open_libc.ts";

const symbols = {
  madvise: { parameters: ["u64", "usize", "i32"], result: "i32", nonblocking: true },
} as const;

/** Linux 5.14 and later; others refuse, which does no harm. */
const MADV_POPULATE_WRITE = 23;
const PAGE_BYTES = 4096n;
/** A call keeps the process from mapping other memory meanwhile. */
const CALL_BYTES = 2n ** 22n;
const THREADS = 2;

const libc = keptLibc(symbols);

/**
 * Gives memory all of its pages, on two threads. Each page would otherwise interrupt the thread that first
 * writes to it, which takes twice as long. Does nothing outside Linux.
 */
export async function populateMemory(address: bigint, byteLength: number): Promise<void> {
  const madvise = libc()?.symbols.madvise;
  if (madvise === undefined) return;
  let next = (address + PAGE_BYTES - 1n) / PAGE_BYTES * PAGE_BYTES;
  const end = (address + BigInt(byteLength)) / PAGE_BYTES * PAGE_BYTES;
  const populate = async () => {
    while (next < end) {
      const start = next;
      next += CALL_BYTES;
      await madvise(start, (next < end ? next : end) - start, MADV_POPULATE_WRITE);
    }
  };
  await Promise.all(Array.from({ length: THREADS }, populate));
}
