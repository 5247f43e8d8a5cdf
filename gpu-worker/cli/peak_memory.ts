// Reads the most memory that this process has held so far.
import process from "node:process";

/** Returns the peak resident set in bytes (getrusage's ru_maxrss). GPU memory is not included. */
export function peakMemoryBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
