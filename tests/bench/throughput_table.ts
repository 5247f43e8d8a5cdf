// Pictures per second through a worker by how many clients ask at once: one picture at a time, those that
// wait as one batch, one on each core, and a batch on each core.
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

const CORES = navigator.hardwareConcurrency;
/** Options of workers, each beside the first. */
const WORKERS = [
  ["--max-batch", "1"],
  [],
  ["--concurrency", String(CORES), "--max-batch", "1"],
  ["--concurrency", String(CORES)],
];

/** Prints the table. */
export async function throughputTable({ clients, pictures, rounds }: ThroughputOptions): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const rows: Row[] = [];
  for (const options of WORKERS) {
    const worker = stack.use(await startWorker(options));
    for (const count of clients) {
      rows.push({ options: options.join(" "), clients: count, url: worker.found, perSecond: [], ms: [] });
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
    `through a worker, models/emoji, ${CORES} cores, ${pictures} pictures a row and round, ` +
      `${rounds} rounds in turn`,
  );
  console.table(rows.map(({ options, clients, perSecond, ms }) => {
    const single = rows.find((row) => row.clients === clients)!;
    return {
      options,
      clients,
      "pictures / s, median": round(median(perSecond), 2),
      best: round(Math.max(...perSecond), 2),
      // Round by round, as the machine's speed drifts.
      "over the first": round(median(perSecond.map((rate, turn) => rate / single.perSecond[turn]!)), 3),
      "ms a picture, median": round(median(ms), 1),
    };
  }));
}

interface Row {
  /** The worker's options. */
  options: string;
  clients: number;
  url: string;
  perSecond: number[];
  /** From request to picture. */
  ms: number[];
}

function startWorker(options: readonly string[]) {
  return startTask("worker", {
    args: ["--port", "0", ...options],
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
