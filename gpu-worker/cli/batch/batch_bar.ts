// Shows the progress of a batch: on a terminal one bar over
// all steps of all pictures, else one line per picture.
import cliProgress from "cli-progress";
import process from "node:process";

export class BatchBar implements Disposable {
  readonly #bar: cliProgress.SingleBar | undefined;
  readonly #pictures: number;
  #ended = 0;
  #failed = 0;

  constructor({ pictures, steps }: { pictures: number; steps: number }) {
    this.#pictures = pictures;
    if (!Deno.stderr.isTerminal()) return;
    this.#bar = new cliProgress.SingleBar({
      stream: process.stderr,
      hideCursor: true,
      // A forecast takes a fraction of a full pass, so the estimate needs several pictures to be steady.
      etaBuffer: 8 * steps,
      format: "{bar} {pictures}  {failures}{eta_formatted} left",
    }, cliProgress.Presets.shades_classic);
    this.#bar.start(pictures * steps, 0, this.#payload());
  }

  step(): void {
    this.#bar?.increment();
  }

  /** Counts a picture that is drawn or has failed. `missing` of its steps were not run. */
  end(text: string, { failed, missing }: { failed: boolean; missing: number }): void {
    this.#ended++;
    if (failed) this.#failed++;
    this.#bar?.increment(missing, this.#payload());
    if (this.#bar === undefined) console.error(`${this.#ended}/${this.#pictures} ${text}`);
  }

  #payload() {
    return {
      pictures: `${this.#ended}/${this.#pictures} pictures`,
      failures: this.#failed === 0 ? "" : `${this.#failed} failed  `,
    };
  }

  [Symbol.dispose](): void {
    this.#bar?.stop();
  }
}
