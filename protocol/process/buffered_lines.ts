// Writes lines a few milliseconds late, many at a time: a write to a pipe each would cost a busy edge more
// than the requests that the lines tell of.

export interface BufferedLinesOptions {
  /** Takes lines, joined by line feeds. @default the console */
  write?: (text: string) => void;
  /** Longest time that a line waits, in milliseconds. @default 10 */
  delayMs?: number;
  /** Lines that may wait. @default 256 */
  capacity?: number;
}

/** Lines that wait are written when the process exits by itself. A kill loses them. */
export function bufferedLines(options: BufferedLinesOptions = {}): (line: string) => void {
  const { write = (text) => console.log(text), delayMs = 10, capacity = 256 } = options;
  let lines: string[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (lines.length === 0) return;
    const text = lines.join("\n");
    lines = [];
    write(text);
  };
  globalThis.addEventListener("unload", flush);
  return (line) => {
    lines.push(line);
    if (lines.length >= capacity) flush();
    else timer ??= setTimeout(flush, delayMs);
  };
}
