// A run source that counts where its results came from and how long they took.
import { RunSource, type RunSourceOptions } from "../runs/run_source.ts";
import type { OpenOptions, WantedRun } from "../runs/wanted_run.ts";
import type { RunView } from "../runs/run_view.ts";
import type { EdgeMetrics } from "./edge_metrics.ts";

export interface MeasuredRunSourceOptions extends RunSourceOptions {
  metrics: EdgeMetrics;
}

export class MeasuredRunSource extends RunSource {
  readonly #metrics: EdgeMetrics;

  constructor({ metrics, ...options }: MeasuredRunSourceOptions) {
    super(options);
    this.#metrics = metrics;
  }

  override async open(wanted: WantedRun, options: OpenOptions = {}): Promise<RunView> {
    const startedAt = performance.now();
    const view = await super.open(wanted, options);
    this.#metrics.opened(view.cache);
    if (view.result !== undefined) {
      this.#metrics.completed(view.cache, (performance.now() - startedAt) / 1000);
      return view;
    }
    return { ...view, events: (signal, after) => this.#measured(view, { signal, after, startedAt }) };
  }

  async *#measured(
    { cache, events }: RunView,
    { signal, after, startedAt }: { signal: AbortSignal; after: number | undefined; startedAt: number },
  ): ReturnType<RunView["events"]> {
    let previewed = false;
    for await (const numbered of events(signal, after)) {
      const seconds = (performance.now() - startedAt) / 1000;
      if (numbered.event.type === "preview" && !previewed) {
        previewed = true;
        this.#metrics.previewed(seconds);
      } else if (numbered.event.type === "completed") {
        this.#metrics.completed(cache, seconds);
      }
      yield numbered;
    }
  }
}
