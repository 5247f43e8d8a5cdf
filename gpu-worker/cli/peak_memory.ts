// The most memory this process has held so far.
import process from "node:process";

/** Resident set at its peak, in bytes (getrusage's ru_maxrss); GPU memory is not in it. */
export function peakMemoryBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
