import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { BatchMetrics } from "../../deploy/batches/batch_metrics.ts";
import { WorkerMetrics } from "../../gpu-worker/http/worker_metrics.ts";
import { EdgeMetrics } from "../../routes/metrics/edge_metrics.ts";
import dashboard from "../../deploy/grafana/spectrum.json" with { type: "json" };

/** Name -> Prometheus type of all that the processes export. */
async function exported(): Promise<Map<string, string>> {
  const worker = new WorkerMetrics();
  worker.observeQueue({ depth: 0, running: 0 });
  const batches = new BatchMetrics(() => Promise.resolve({}));
  const text = await new EdgeMetrics().text() + await worker.text() + await batches.text();
  return new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]));
}

describe("deploy/grafana/spectrum.json", () => {
  const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const queried = new Set(queries.flatMap((expr) => expr.match(/spectrum_\w+/g) ?? []));

  /** Returns the metric of a series. A histogram has several. */
  const metricOf = (series: string) => series.replace(/_(bucket|sum|count)$/, "");

  it("every metric it queries is exported, histograms by their buckets or means", async () => {
    const types = await exported();
    for (const name of queried) {
      const base = metricOf(name);
      assert.equal(types.get(base) === "histogram", name !== base, name);
      assert.ok(types.has(base), name);
    }
  });

  it("every metric exported is shown", async () => {
    const shown = new Set([...queried].map(metricOf));
    assert.deepEqual([...(await exported()).keys()].filter((name) => !shown.has(name)), []);
  });

  it("panels have ids of their own", () => {
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
  });
});
