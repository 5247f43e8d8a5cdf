// The worker's metrics, in Prometheus' text format.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Receipt } from "../../protocol/wire/receipt.ts";

export interface FinishedRun {
  model: string;
  outcome: "completed" | "failed" | "cancelled";
  /** Set for completed runs. */
  seconds?: Receipt["seconds"];
  /** Size of the picture batch, this run included. Set for completed runs. */
  pictures?: number;
}

/**
 * Histogram buckets in seconds. An emoji takes half a second, a
 * 1024-pixel picture some ten on a GPU and an hour on a CPU.
 */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 150, 600, 3600];

export class WorkerMetrics {
  readonly #registry = new Registry();
  readonly #runs = this.#counter("spectrum_runs_total", "Finished runs", ["model", "outcome"]);
  readonly #passes = this.#counter(
    "spectrum_passes_total",
    "Denoiser passes, a batch counted for each picture",
    ["kind"],
  );
  readonly #seconds = new Histogram({
    name: "spectrum_run_seconds",
    help: "Wall time of completed runs by phase",
    labelNames: ["phase"],
    buckets: BUCKETS,
    registers: [this.#registry],
  });
  readonly #pictures = new Histogram({
    name: "spectrum_run_batch_size",
    help: "Pictures that a completed one was made together with, itself included",
    buckets: [1, 2, 4, 8, 16],
    registers: [this.#registry],
  });
  readonly #loaded = this.#gauge("spectrum_models_loaded", "Models in memory");

  /** Adds gauges that read the queue's state whenever the metrics are collected. */
  observeQueue(queue: { depth: number; running: number }): void {
    this.#gauge("spectrum_queue_depth", "Runs that wait for the device", () => queue.depth);
    this.#gauge("spectrum_running", "Runs on the device", () => queue.running);
  }

  pass(kind: "full" | "forecast"): void {
    this.#passes.inc({ kind });
  }

  finished({ model, outcome, seconds = undefined, pictures = undefined }: FinishedRun): void {
    this.#runs.inc({ model, outcome });
    if (pictures !== undefined) this.#pictures.observe(pictures);
    for (const [phase, value] of Object.entries(seconds ?? {})) this.#seconds.observe({ phase }, value);
  }

  loaded(count: number): void {
    this.#loaded.set(count);
  }

  /** Returns the metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, read?: () => number): Gauge {
    return new Gauge({
      name,
      help,
      registers: [this.#registry],
      ...(read && {
        collect() {
          this.set(read());
        },
      }),
    });
  }
}
