// One JSON object a line on standard output, or text where that is a terminal. Prompts
// and keys never get here.
import { readableLine } from "./readable_line.ts";

export type LogLevel = "info" | "warn" | "error";
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

export interface StructuredLogOptions {
  /** Which process writes: "edge", "worker". */
  process: string;
  /** @default the console */
  write?: (line: string) => void;
  /** Whether people read the lines. @default whether standard output is a terminal */
  readable?: boolean;
}

/** Longest text in a line. Texts of clients and workers have no bound of their own. */
const MAX_TEXT = 2000;
const MAX_LINE = 16_000;

export function structuredLog(
  { process, write: print = (line) => console.log(line), readable = Deno.stdout.isTerminal() }:
    StructuredLogOptions,
): Log {
  const write = readable ? (line: string) => print(readableLine(line)) : print;
  return (level, message, fields = {}) => {
    const all = { time: timestamp(), level, process, message: cut(message), ...fields };
    const plain = JSON.stringify(all);
    // A short line holds no long text.
    const line = plain.length <= MAX_TEXT ? plain : JSON.stringify(all, (_, value) => cut(value));
    write(
      line.length <= MAX_LINE
        ? line
        : JSON.stringify({ time: all.time, level, process, message: all.message, cut: cut(line) }),
    );
  };
}

let second = NaN;
let prefix = "";

/** As toISOString(), which costs a third of a line; all lines of a second share its beginning. */
function timestamp(): string {
  const now = Date.now();
  const milliseconds = now % 1000;
  if (now - milliseconds !== second) {
    second = now - milliseconds;
    prefix = new Date(second).toISOString().slice(0, -4);
  }
  return `${prefix}${String(milliseconds).padStart(3, "0")}Z`;
}

function cut<T>(value: T): T | string {
  if (typeof value !== "string" || value.length <= MAX_TEXT) return value;
  return `${value.slice(0, MAX_TEXT).toWellFormed()}... (${value.length} characters)`;
}
