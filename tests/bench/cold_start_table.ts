// From the start of a worker's process to its first picture, with and without graphs that are optimized
// already, and how soon a viewer of a later picture sees something.
import { fileURLToPath } from "node:url";
import { median, round } from "../../gpu-worker/cli/bench/statistics.ts";
import { startDeno } from "../service/service.ts";
import { timePicture } from "./worker_client.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Milliseconds of each start. */
interface Start {
  listening: number;
  picture: number;
}

const ROWS = ["no graph cache", "first start, which fills it", "later start"] as const;

/** Prints two tables. */
export async function coldStartTable({ rounds }: { rounds: number }): Promise<void> {
  const starts = ROWS.map((): Start[] => []);
  const previews: { first: number; picture: number }[] = [];
  // The first round is for the file system's cache.
  for (let turn = -1; turn < rounds; turn++) {
    const folder = await Deno.makeTempDir({ prefix: "spectrum-cold-" });
    try {
      for (const [i] of ROWS.entries()) {
        const start = await coldStart(folder, { mayWrite: i > 0, previews: turn >= 0 ? previews : [] });
        if (turn >= 0) starts[i]!.push(start);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  console.log(`cold start of a worker with models/emoji, ${rounds} rounds in turn, medians`);
  console.table(ROWS.map((row, i) => ({
    row,
    "to listening ms": round(median(starts[i]!.map(({ listening }) => listening)), 0),
    "to the first picture ms": round(median(starts[i]!.map(({ picture }) => picture)), 0),
    least: round(Math.min(...starts[i]!.map(({ picture }) => picture)), 0),
  })));
  const first = median(previews.map(({ first }) => first));
  const picture = median(previews.map(({ picture }) => picture));
  console.log(
    `the second picture of each, with 3 previews: the first after ${round(first, 1)} ms, ` +
      `${round(first / picture, 3)} of the ${
        round(picture, 1)
      } ms to the picture (median of ${previews.length})`,
  );
}

/** A worker in `folder`, where it keeps its graphs if it may. */
async function coldStart(
  folder: string,
  { mayWrite, previews }: { mayWrite: boolean; previews: { first: number; picture: number }[] },
): Promise<Start> {
  const started = performance.now();
  await using worker = await startDeno([
    ...["run", "--no-prompt", "--config", `${ROOT}deno.json`],
    ...["--allow-ffi", "--allow-read", "--allow-env", "--allow-sys", "--allow-net=127.0.0.1"],
    ...mayWrite ? [`--allow-write=${folder}`] : [],
    ...[`${ROOT}gpu-worker/main.ts`, "--models", `${ROOT}models/emoji`, "--port", "0"],
  ], { cwd: folder, until: /"message":"listening","url":"([^"]+)"/ });
  const listening = performance.now() - started;
  const model = `${ROOT}models/emoji`;
  await timePicture(worker.found, { model, seed: 1 });
  const picture = performance.now() - started;
  const second = await timePicture(worker.found, { model, seed: 2, previews: 3 });
  previews.push({ first: second.firstPreview!, picture: second.picture });
  return { listening, picture };
}
