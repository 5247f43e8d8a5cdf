// Writes lines a few milliseconds late, many at a time: a write to a pipe each would cost a busy edge more than the
// requests that the lines tell of.

export interface BufferedLinesOptions {
  /** Takes lines, joined by line feeds. @default the console */
  write?: (text: string) => void;
  /** How long a line may wait. @default 10 */
  delayMs?: number;
  /** Lines that may wait. @default 256 */
  capacity?: number;
}

/** What waits when the process exits by itself is written then; what a kill finds waiting is lost. */
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
