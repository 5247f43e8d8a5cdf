// Metrics of an edge, in Prometheus' text format.
import { Counter, Histogram, Registry } from "prom-client";
import type { RunView } from "../runs/run_view.ts";

export interface AnsweredRequest {
  method: string;
  /** Pattern of the route, so that the number of labels is fixed: "/v1/models/:id". */
  route: string;
  status: number;
  /** Until the answer, or its stream, began. */
  seconds: number;
}

/** Buckets in seconds: a hit takes milliseconds, a picture of a large model on a CPU an hour. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 150, 600, 3600];
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

export class EdgeMetrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: "spectrum_edge_requests_total",
    help: "Answered requests",
    labelNames: ["method", "route", "status"],
    registers: [this.#registry],
  });
  readonly #seconds = this.#histogram("spectrum_edge_request_seconds", "Until the answer began", ["route"]);
  readonly #pictures = new Counter({
    name: "spectrum_edge_pictures_total",
    help: "Pictures asked for: from the store (hit), from a run under way (joined), from a new run (miss)",
    labelNames: ["cache"],
    registers: [this.#registry],
  });
  readonly #firstPreview = this.#histogram(
    "spectrum_edge_first_preview_seconds",
    "From the request for a picture to its first preview",
    [],
  );
  readonly #picture = this.#histogram(
    "spectrum_edge_picture_seconds",
    "From the request for a picture to the finished one",
    ["cache"],
  );

  answered({ method, route, status, seconds }: AnsweredRequest): void {
    // Methods are the client's words: unbounded unless named here.
    this.#requests.inc({ method: METHODS.includes(method) ? method : "other", route, status });
    this.#seconds.observe({ route }, seconds);
  }

  opened(cache: RunView["cache"]): void {
    this.#pictures.inc({ cache });
  }

  previewed(seconds: number): void {
    this.#firstPreview.observe(seconds);
  }

  completed(cache: RunView["cache"], seconds: number): void {
    this.#picture.observe({ cache }, seconds);
  }

  /** Returns the metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #histogram(name: string, help: string, labelNames: string[]): Histogram {
    return new Histogram({ name, help, labelNames, buckets: BUCKETS, registers: [this.#registry] });
  }
}
