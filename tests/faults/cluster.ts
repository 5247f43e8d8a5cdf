// Edges, workers and Redis as processes of their own, to be killed by tests.
import { type RestRedis, startRestRedis } from "../service/redis.ts";
import { startTcpProxy, type TcpProxy } from "./tcp_proxy.ts";
import { type RunningTask, startDeno, startFakeWorker } from "../service/service.ts";

export interface Node extends AsyncDisposable {
  url: string;
  process: Deno.ChildProcess;
  /** Log lines so far. */
  lines: string[];
  /** As a machine that loses its power. */
  kill(): Promise<void>;
}

export interface Cluster extends AsyncDisposable {
  redis: RestRedis | undefined;
  /**
   * Proxies that a test may cut: before the store, as edges and workers reach it, and between its adapter
   * and redis-server.
   */
  lines: { store: TcpProxy; redis: TcpProxy } | undefined;
  edges: Node[];
  workers: Node[];
  /** One more, or one again in its place. */
  startWorker(options?: { port?: number; env?: Record<string, string> }): Promise<Node>;
  startEdge(options?: EdgeOptions): Promise<Node>;
}

export interface EdgeOptions {
  /** How far its clock is ahead. @default 0 */
  aheadMs?: number;
  /** More of its environment. */
  env?: Record<string, string>;
}

export interface ClusterOptions {
  /** @default 2 */
  edges?: number;
  /** @default 1 */
  workers?: number;
  /** Milliseconds of each step of a run. @default 0 */
  stepMs?: number;
  /** @default true */
  redis?: boolean;
  /** Puts proxies on the ways to Redis. @default false */
  lines?: boolean;
  /** More of an edge's environment. */
  env?: Record<string, string>;
  /** The checkpoint that real workers serve. @default workers are fakes */
  model?: string;
}

/** Seeds of the runs that a worker has begun, in order. */
export function seedsOf({ lines }: Node): number[] {
  return lines.flatMap((line) => /"message":"device","seed":(\d+)/.exec(line)?.[1] ?? []).map(Number);
}

const EDGE = ["run", "--quiet", "-P=edge", "main.ts"];
const WORKER = ["run", "--quiet", "-P=worker", "gpu-worker/main.ts"];
const EDGE_AHEAD = ["run", "-A", "--no-check", "--preload=tests/faults/clock_ahead.ts", "main.ts"];

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { edges = 2, workers = 1, stepMs = 0, redis: withRedis = true, env = {}, model } = options;
  let behind: TcpProxy | undefined;
  const through = async (port: number) => (behind = await startTcpProxy(port)).port;
  const redis = withRedis ? await startRestRedis(options.lines ? { through } : {}) : undefined;
  const before = behind && await startTcpProxy(Number(new URL(redis!.url).port));
  const store: Record<string, string> = redis === undefined ? {} : {
    UPSTASH_REDIS_REST_URL: before === undefined ? redis.url : `http://127.0.0.1:${before.port}`,
    UPSTASH_REDIS_REST_TOKEN: redis.token,
  };
  const started: Node[] = [];
  const register = (task: RunningTask) => {
    const node = toNode(task);
    started.push(node);
    return node;
  };
  const cluster: Cluster = {
    redis,
    lines: before && { store: before, redis: behind! },
    edges: [],
    workers: [],
    async startWorker({ port = 0, env: more = {} } = {}) {
      const name = `worker-${cluster.workers.length + 1}`;
      const args = ["--port", String(port), "--name", name];
      const own = { ...store, ...more };
      const worker = register(
        model === undefined
          ? await startFakeWorker([...args, "--step-ms", String(stepMs)], own)
          : await startDeno([...WORKER, ...args, "--models", model], {
            env: own,
            until: /"message":"listening","url":"([^"]+)"/,
          }),
      );
      cluster.workers.push(worker);
      return worker;
    },
    async startEdge({ aheadMs, env: more = {} } = {}) {
      const urls = cluster.workers.map(({ url }) => url).join(",");
      const edge = register(
        await startDeno(aheadMs === undefined ? EDGE : EDGE_AHEAD, {
          env: {
            ...{ ...store, PORT: "0", SPECTRUM_WORKERS: urls, ...env, ...more },
            ...aheadMs !== undefined && { AHEAD_MS: String(aheadMs) },
          },
          until: /"message":"listening","url":"([^"]+)"/,
        }),
      );
      cluster.edges.push(edge);
      return edge;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((node) => node[Symbol.asyncDispose]()));
      await redis?.[Symbol.asyncDispose]();
      await before?.[Symbol.asyncDispose]();
      await behind?.[Symbol.asyncDispose]();
    },
  };
  for (let i = 0; i < workers; i++) await cluster.startWorker();
  await Promise.all(Array.from({ length: edges }, () => cluster.startEdge()));
  return cluster;
}

function toNode(task: RunningTask): Node {
  const kill = async () => {
    try {
      task.process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await task.process.status;
  };
  return { url: task.found, process: task.process, lines: task.lines, kill, [Symbol.asyncDispose]: kill };
}
