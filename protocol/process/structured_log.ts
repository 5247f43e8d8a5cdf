// One JSON object a line on standard output. Prompts and keys never get here.

export type LogLevel = "info" | "warn" | "error";
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

export interface StructuredLogOptions {
  /** Which process writes: "edge", "worker". */
  process: string;
  /** @default the console */
  write?: (line: string) => void;
}

export function structuredLog({ process, write = (line) => console.log(line) }: StructuredLogOptions): Log {
  return (level, message, fields = {}) => {
    write(JSON.stringify({ time: new Date().toISOString(), level, process, message, ...fields }));
  };
}
