// The edge's view of workers, for tests.
import { WorkerClient } from "../../../routes/runs/worker_client.ts";
import { WorkerPool } from "../../../routes/runs/worker_pool.ts";

export function testPool(...urls: string[]): WorkerPool {
  return new WorkerPool({ workers: urls.map((url) => new WorkerClient({ url })), log: () => {} });
}
