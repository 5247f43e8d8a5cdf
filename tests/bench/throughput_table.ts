// Pictures per second through a worker by how many clients ask at once, with one run at a time and with one on each core.
import { startTask } from "../service/service.ts";
import { median, round } from "../../gpu-worker/cli/bench/statistics.ts";
import { timePicture } from "./worker_client.ts";

export interface ThroughputOptions {
  /** Numbers of clients, each with one request at a time. */
  clients: readonly number[];
  /** Pictures of a row in a round. */
  pictures: number;
  rounds: number;
}

/** Prints the table. */
export async function throughputTable({ clients, pictures, rounds }: ThroughputOptions): Promise<void> {
  const cores = navigator.hardwareConcurrency;
  const concurrencies = [...new Set([1, cores])];
  await using stack = new AsyncDisposableStack();
  const rows: Row[] = [];
  for (const concurrency of concurrencies) {
    const worker = stack.use(await startWorker(concurrency));
    for (const count of clients) {
      rows.push({ concurrency, clients: count, url: worker.found, perSecond: [], ms: [] });
    }
  }
  // Rows take turns, so that a drift of the machine's speed meets them all; a first round warms up.
  for (let turn = -1; turn < rounds; turn++) {
    for (const row of rows) {
      const started = performance.now();
      const ms = await load(row, { pictures, seed: (turn + 2) * pictures });
      if (turn < 0) continue;
      row.perSecond.push(pictures / (performance.now() - started) * 1000);
      row.ms.push(...ms);
    }
  }
  console.log(
    `through a worker, models/emoji, ${cores} cores, ${pictures} pictures a row and round, ${rounds} rounds in turn`,
  );
  console.table(rows.map(({ concurrency, clients, perSecond, ms }) => {
    const single = rows.find((row) => row.concurrency === 1 && row.clients === clients)!;
    return {
      "--concurrency": concurrency,
      clients,
      "pictures / s, median": round(median(perSecond), 2),
      best: round(Math.max(...perSecond), 2),
      "over --concurrency 1": round(median(perSecond) / median(single.perSecond), 3),
      "best over best": round(Math.max(...perSecond) / Math.max(...single.perSecond), 3),
      "ms a picture, median": round(median(ms), 1),
    };
  }));
}

interface Row {
  concurrency: number;
  clients: number;
  url: string;
  perSecond: number[];
  /** From request to picture. */
  ms: number[];
}

function startWorker(concurrency: number) {
  return startTask("worker", {
    args: ["--port", "0", "--concurrency", String(concurrency)],
    until: /"message":"listening","url":"([^"]+)"/,
  });
}

/** @returns milliseconds of each picture */
async function load(
  { url, clients }: Row,
  { pictures, seed }: { pictures: number; seed: number },
): Promise<number[]> {
  const times: number[] = [];
  let asked = 0;
  const client = async () => {
    while (asked < pictures) times.push((await timePicture(url, { seed: seed + asked++ })).picture);
  };
  await Promise.all(Array.from({ length: clients }, client));
  return times;
}
