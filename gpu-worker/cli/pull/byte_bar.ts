// A progress bar for downloads on a terminal. Pipes get no bar.
import cliProgress from "cli-progress";
import process from "node:process";
import { megabytes } from "../megabytes.ts";

/** Shows bytes of a known total on stderr. */
export class ByteBar implements Disposable {
  readonly #bar: cliProgress.SingleBar | undefined;
  #bytes = 0;

  constructor(label: string) {
    if (!Deno.stderr.isTerminal()) return;
    this.#bar = new cliProgress.SingleBar({
      stream: process.stderr,
      hideCursor: true,
      // Chunks arrive in bursts, so average over many of them.
      etaBuffer: 1000,
      format: `${label} {bar} {percentage} %  {value} of {total}  {eta_formatted} left`,
      formatValue: (value: number, _options: unknown, type: string) =>
        type === "value" || type === "total" ? megabytes(value) : String(value),
    }, cliProgress.Presets.shades_classic);
  }

  start(total: number): void {
    this.#bar?.start(total, 0);
  }

  add(count: number): void {
    this.#bytes += count;
    this.#bar?.update(this.#bytes);
  }

  [Symbol.dispose](): void {
    this.#bar?.stop();
  }
}
