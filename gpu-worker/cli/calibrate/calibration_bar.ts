// Progress of a calibration in full passes: on a terminal, a bar with the time left.
import cliProgress from "cli-progress";
import process from "node:process";

export class CalibrationBar implements Disposable {
  readonly #bar: cliProgress.SingleBar | undefined;
  readonly #onPart: (part: string) => void;
  #part = "";
  #planned = 0;

  /**
   * @param passes an upper bound of the full passes to come
   * @param onPart called at the beginning of each part
   */
  constructor(passes: number, onPart: (part: string) => void) {
    this.#onPart = onPart;
    if (!Deno.stderr.isTerminal()) return;
    this.#bar = new cliProgress.SingleBar({
      stream: process.stderr,
      hideCursor: true,
      etaBuffer: 400,
      format: "{bar} {part}  {eta_formatted} left",
    }, cliProgress.Presets.shades_classic);
    this.#bar.start(passes, 0, { part: "" });
  }

  /** Begins a part of at most `passes` full passes. What the last part has not used is counted as done. */
  begin(part: string, passes: number): void {
    this.#bar?.increment(Math.max(0, this.#planned));
    this.#part = part;
    this.#planned = passes;
    this.#bar?.update({ part });
    this.#onPart(part);
  }

  /** Counts full passes that were made. */
  pass(count = 1): void {
    const counted = Math.min(count, this.#planned);
    this.#planned -= counted;
    this.#bar?.increment(counted, { part: this.#part });
  }

  [Symbol.dispose](): void {
    this.#bar?.stop();
  }
}
