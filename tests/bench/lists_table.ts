// Cost of a list: a page of ten of a key's videos, of which the key has ten or a thousand.
import { startRestRedis } from "../service/redis.ts";
import { startDeno, startFakeWorker } from "../service/service.ts";

const LISTENING = /"message":"listening","url":"([^"]+)"/;
const ROUNDS = 60;
const [FEW, MANY] = [10, 1000];
/** The longest prompt: each record is large. */
const PROMPT = "\u4e2d".repeat(32_000);

/**
 * Milliseconds of GET /v1/videos?limit=10 by a key with few and by one with many videos,
 * in turn, over one store.
 */
export async function listsTable(): Promise<void> {
  await using redis = await startRestRedis();
  const store = { UPSTASH_REDIS_REST_URL: redis.url, UPSTASH_REDIS_REST_TOKEN: redis.token };
  await using worker = await startFakeWorker(["--video"], store);
  await using edge = await startDeno(["run", "-A", "main.ts"], {
    env: { ...store, PORT: "0", SPECTRUM_WORKERS: worker.found, SPECTRUM_API_KEYS: "few,many" },
    until: LISTENING,
  });
  const videos = `${edge.found}/v1/videos`;
  const as = (key: string) => ({ authorization: `Bearer ${key}` });
  for (const [key, count] of [["few", FEW], ["many", MANY]] as const) {
    for (let made = 0; made < count; made++) {
      const headers = { ...as(key), "content-type": "application/json" };
      const body = JSON.stringify({ prompt: PROMPT, seed: 1, steps: 1 });
      const response = await fetch(videos, { method: "POST", headers, body });
      if (!response.ok) throw new Error(`Cannot measure as ${videos} answers ${await response.text()}`);
      await response.body?.cancel();
    }
  }
  const taken: Record<string, number[]> = { few: [], many: [] };
  for (let round = -5; round < ROUNDS; round++) {
    for (const key of ["few", "many"]) {
      const started = performance.now();
      const page = await (await fetch(`${videos}?limit=10`, { headers: as(key) })).json();
      if (page.data.length !== 10) throw new Error(`Cannot measure as a page has ${page.data.length} videos`);
      if (round >= 0) taken[key]!.push(performance.now() - started);
    }
  }
  const row = (quantile: number) => {
    const [few, many] = [taken["few"]!, taken["many"]!].map((values) => at(values, quantile)) as [
      number,
      number,
    ];
    return {
      [`${FEW} videos ms`]: few.toFixed(1),
      [`${MANY} videos ms`]: many.toFixed(1),
      ratio: (many / few).toFixed(2),
    };
  };
  console.log(`a page of 10 videos with prompts of ${PROMPT.length} characters, ${ROUNDS} rounds in turn`);
  console.table({ p50: row(0.5), p99: row(0.99) });
}

function at(values: readonly number[], quantile: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]!;
}

if (import.meta.main) await listsTable();
