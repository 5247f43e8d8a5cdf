// Reads the most memory that this process has held so far.
import process from "node:process";
import { cString } from "../runtime/c_string.ts";
import { openLibc } from "../runtime/open_libc.ts";

const STATUS = "/proc/self/status";
/** The file has about 1,500 bytes. */
const STATUS_BYTES = 8192;
const SYMBOLS = {
  fopen: { parameters: ["buffer", "buffer"], result: "pointer" },
  fread: { parameters: ["buffer", "usize", "usize", "pointer"], result: "usize" },
  fclose: { parameters: ["pointer"], result: "i32" },
} as const;

/** Returns the peak resident set in bytes. GPU memory is not included. */
export function peakMemoryBytes(): number {
  return ownPeakBytes() ?? process.resourceUsage().maxRSS * 1024;
}

/**
 * Returns VmHWM of Linux, or undefined without glibc. Linux starts a process's ru_maxrss with the peak of
 * the process that started it, which may be far larger. The C library reads the file, as Deno opens files
 * of /proc with --allow-all alone.
 */
function ownPeakBytes(): number | undefined {
  const libc = openLibc(SYMBOLS);
  if (libc === undefined) return undefined;
  try {
    const { fopen, fread, fclose } = libc.symbols;
    const file = fopen(cString(STATUS), cString("r"));
    if (file === null) return undefined;
    const bytes = new Uint8Array(STATUS_BYTES);
    const length = Number(fread(bytes, 1n, BigInt(bytes.length), file));
    fclose(file);
    const text = new TextDecoder().decode(bytes.subarray(0, length));
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB/m.exec(text) ?? [];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  } finally {
    libc.close();
  }
}
