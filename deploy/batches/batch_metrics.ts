// Metrics of the batch service, in Prometheus' text format.
import { Counter, Gauge, Registry } from "prom-client";
import type { Outcome } from "./request_queue.ts";

export class BatchMetrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: "spectrum_batch_requests_total",
    help: "Requests of batches that this process has ended",
    labelNames: ["outcome"],
    registers: [this.#registry],
  });

  /** @param counts requests in the queue by state, of all processes together */
  constructor(counts: () => Promise<Record<string, number>>) {
    new Gauge({
      name: "spectrum_batch_queue",
      help: "Requests of batches in the queue",
      labelNames: ["state"],
      registers: [this.#registry],
      async collect() {
        // A queue that is away has no length.
        const states = await counts().catch(() => ({}));
        this.reset();
        for (const [state, count] of Object.entries(states)) this.set({ state }, count);
      },
    });
  }

  settled(outcome: Outcome): void {
    this.#requests.inc({ outcome });
  }

  /** Returns the metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
