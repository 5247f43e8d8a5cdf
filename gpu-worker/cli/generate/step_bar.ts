// A progress bar on a terminal: one cell per step, with different
// cells for full passes and forecasts. Pipes get no bar.
import cliProgress from "cli-progress";
import process from "node:process";
import type { StepProgress } from "../../pipeline/pipeline.ts";

const FULL = "\u2588";
const FORECAST = "\u2591";
const PENDING = "\u00b7";
const MAX_CELLS = 60;

/** Shows the steps of one picture on stderr. */
export class StepBar implements Disposable {
  readonly #bar: cliProgress.SingleBar | undefined;
  readonly #kinds: string[] = [];
  #elapsedMs = 0;

  constructor(label: string) {
    if (!Deno.stderr.isTerminal()) return;
    this.#bar = new cliProgress.SingleBar({
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: false,
      format: (_options: unknown, params: { total: number }) =>
        `${label} ${cells(this.#kinds, params.total)} ${this.#summary(params.total)}`,
    });
  }

  show({ index, steps, kind, elapsedMs }: StepProgress): void {
    this.#kinds.push(kind === "full" ? FULL : FORECAST);
    this.#elapsedMs = elapsedMs;
    if (index === 0) this.#bar?.start(steps, 0);
    this.#bar?.update(index + 1);
  }

  #summary(total: number): string {
    const full = this.#kinds.filter((kind) => kind === FULL).length;
    const done = this.#kinds.length;
    return `${done}/${total}  ${full} full ${FULL}  ${done - full} forecast ${FORECAST}  ${
      (this.#elapsedMs / 1000).toFixed(1)
    } s`;
  }

  [Symbol.dispose](): void {
    this.#bar?.stop();
  }
}

/** Draws at most 60 cells. With more steps, a cell shows a full pass if any of its steps is one. */
function cells(kinds: readonly string[], total: number): string {
  const count = Math.min(total, MAX_CELLS);
  return Array.from({ length: count }, (_, cell) => {
    const [from, to] = [Math.floor(cell * total / count), Math.floor((cell + 1) * total / count)];
    const part = kinds.slice(from, to);
    return part.length === 0 ? PENDING : part.includes(FULL) ? FULL : FORECAST;
  }).join("");
}
