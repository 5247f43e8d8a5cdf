// `deno task bench:edge`: what the edge costs. All rows are measured in turn in one run, against the worker
// itself and against a Hono handler that does nothing but return the same bytes.
// Load on loopback.
// deno-lint-ignore no-import-prefix
import autocannon from "npm:autocannon@9.0.0";
import { startService, startTask } from "../service/service.ts";

const ROUNDS = 150;
const LOAD_SECONDS = 4;
const LOAD_ROUNDS = 3;
const CONNECTIONS = 16;
/** The cheapest picture there is, so that the difference stands out. */
const PICTURE = { model: "models/emoji", prompt: "red heart", steps: 1, spectrum: { method: "none" } };

const HELP = `Usage: deno task bench:edge

Measures what the edge adds to a worker's latency, the time to the first preview, and cache hits per second.
It takes some minutes and has no options.
`;

const [argument] = Deno.args.filter((arg) => arg !== "--");
if (argument !== undefined) {
  const isHelp = ["--help", "-h"].includes(argument);
  if (isHelp) console.log(HELP);
  else console.error(`bench:edge: unknown argument '${argument}'; --help says what it does`);
  Deno.exit(isHelp ? 0 : 2);
}
// These look for redis-server as they load.
const { WITHOUT_REDIS } = await import("../service/redis.ts");
const { listsTable } = await import("./lists_table.ts");
await using service = await startService();
const edge = `${service.url}/v1/images/generations`;
console.log("edge and worker on loopback, models/emoji; ratios of one run");
await addedLatency();
await firstPreview();
await cacheHits();
if (WITHOUT_REDIS === false) await listsTable();
else console.log(WITHOUT_REDIS);

/** A picture through the edge (never stored: no seed) and from the worker directly, in turn. */
async function addedLatency(): Promise<void> {
  const [through, direct]: [number[], number[]] = [[], []];
  for (let round = -10; round < ROUNDS; round++) {
    const seconds = [
      await timed(() => postJson(edge, PICTURE)),
      await timed(() => pictureFromWorker(round + 100)),
    ];
    if (round < 0) continue;
    through.push(seconds[0]!);
    direct.push(seconds[1]!);
  }
  const row = (quantile: number) => ({
    "edge ms": round(at(through, quantile), 2),
    "worker ms": round(at(direct, quantile), 2),
    "added ms": round(at(through, quantile) - at(direct, quantile), 2),
    "edge / worker": round(at(through, quantile) / at(direct, quantile), 3),
  });
  console.log(`latency of a one-step picture, ${ROUNDS} rounds in turn`);
  console.table({ p50: row(0.5), p99: row(0.99) });
}

async function pictureFromWorker(seed: number): Promise<void> {
  const { id } = await postJson(`${service.workerUrl}/runs`, { ...PICTURE, seed }) as { id: string };
  const response = await fetch(`${service.workerUrl}/runs/${id}/events`);
  const text = await response.text();
  if (!text.includes("event: completed")) {
    throw new Error(`Cannot measure as the run ended with ${text.slice(-300)}`);
  }
}

/** When the first of three previews of a 50-step picture arrives, as a share of the whole. */
async function firstPreview(): Promise<void> {
  const shares: number[] = [];
  for (let run = 0; run < 9; run++) {
    const started = performance.now();
    const response = await fetch(
      edge,
      json({ ...PICTURE, steps: 50, spectrum: {}, stream: true, partial_images: 3 }),
    );
    let first: number | undefined;
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      if (text.includes("image_generation.partial_image")) first ??= performance.now() - started;
    }
    shares.push(first! / (performance.now() - started));
  }
  console.log(
    `time to the first of 3 previews: ${round(at(shares, 0.5), 3)} of the time to the picture (median of 9)`,
  );
}

/** Stored pictures per second against the same bytes from a bare handler. */
async function cacheHits(): Promise<void> {
  const request = json({ ...PICTURE, seed: 7 });
  const body = await (await fetch(edge, request)).text();
  await using bare = await startTask("bench:bare", { env: { BODY: body }, until: /^bare handler at (\S+)/ });
  const perSecond: [number[], number[]] = [[], []];
  for (let round = 0; round < LOAD_ROUNDS; round++) {
    perSecond[0].push(await load(edge, request.body));
    perSecond[1].push(await load(bare.found, request.body));
  }
  const [hits, handler] = perSecond.map((values) => at(values, 0.5)) as [number, number];
  console.log(
    `cache hits: ${round(hits, 0)} a second, a bare Hono handler of the same ${body.length} bytes ${
      round(handler, 0)
    }: ` +
      `ratio ${round(hits / handler, 3)} (${CONNECTIONS} connections, median of ${LOAD_ROUNDS})`,
  );
}

async function load(url: string, body: string): Promise<number> {
  const result = await autocannon({
    url,
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    connections: CONNECTIONS,
    duration: LOAD_SECONDS,
  });
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`Cannot measure ${url}: ${result.non2xx} refusals`);
  }
  return result.requests.average;
}

function json(value: unknown) {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}

async function postJson(url: string, value: unknown): Promise<unknown> {
  const response = await fetch(url, json(value));
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(`Cannot measure as ${url} answers ${response.status}: ${JSON.stringify(answer)}`);
  }
  return answer;
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

function at(values: readonly number[], quantile: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]!;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
