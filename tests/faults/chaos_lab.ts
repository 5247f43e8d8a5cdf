// Every process of the product, to be killed and stopped by tests: two edges, two workers, two batch
// services, the REST adapter, the store's Redis and the queue's. Both Redis write each command to
// disk before they answer.
import { TextLineStream } from "@std/streams/text-line-stream";
import { until } from "../until.ts";

/** "stop": it hangs, as by SIGSTOP, with its connections open. */
export type Fault = "kill" | "stop";

const TOKEN = "the store's token in the lab";
const SECRET = "the secret of edges and workers in the lab";
const LISTENING = /"message":"listening"/;
const STORED = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

interface MachineInit {
  kind: string;
  command: string;
  args: string[];
  env?: Record<string, string>;
  ready: RegExp;
}

/** A process that is started again as it was. */
export class Machine implements AsyncDisposable {
  readonly kind: string;
  readonly #init: MachineInit;
  #process: Deno.ChildProcess | undefined;

  constructor(init: MachineInit) {
    this.kind = init.kind;
    this.#init = init;
  }

  async start(): Promise<void> {
    const { command, args, env = {}, ready } = this.#init;
    const process = new Deno.Command(command, { args, env, stdin: "null", stdout: "piped", stderr: "null" })
      .spawn();
    this.#process = process;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    (async () => {
      const lines = process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
      for await (const line of lines) if (ready.test(line)) resolve();
      reject(new Error(`'${[command, ...args].join(" ")}' ended before it was ready`));
    })().catch(reject);
    promise.catch(() => {});
    await promise;
  }

  /** Suffers a fault and goes on `ms` later. */
  async ail(fault: Fault, ms: number): Promise<void> {
    if (fault === "stop") this.#signal("SIGSTOP");
    else await this.#end();
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (fault === "stop") return this.#signal("SIGCONT");
    // Its port may not be free at once, and a machine under load takes its time.
    await until(() => this.start().then(() => true, () => false), { within: 120_000, every: 300 })
      .catch((cause) => {
        throw new Error(`Cannot go on: '${this.kind}' did not come back`, { cause });
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#process?.status;
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#process?.kill(signal);
    } catch {
      // It has ended already.
    }
  }
}

export interface Lab extends AsyncDisposable {
  machines: Machine[];
  /** Origins. */
  edges: string[];
  /** Environment of commands that write the store. */
  store: Record<string, string>;
  /** Address of the jobs' webhooks. */
  hook: string;
  /** Types of the events that each job's webhook was told, by the job's id. */
  told: Map<string, string[]>;
}

export async function startLab(): Promise<Lab> {
  const stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const told = new Map<string, string[]>();
  const stop = new AbortController();
  const receiver = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen() {} },
    async (request) => {
      const { type, data } = await request.json();
      told.set(data.id, [...told.get(data.id) ?? [], type]);
      return new Response();
    },
  );
  stack.defer(async () => {
    stop.abort();
    await receiver.finished;
  });
  const origin = `http://127.0.0.1:${receiver.addr.port}`;
  const [redis, queue, rest, ...others] = freePorts(9) as [number, number, number, ...number[]];
  const [workers, edges, batches] = [others.slice(0, 2), others.slice(2, 4), others.slice(4, 6)];
  const urls = (ports: readonly number[]) => ports.map((port) => `http://127.0.0.1:${port}`);
  const store = { UPSTASH_REDIS_REST_URL: urls([rest])[0]!, UPSTASH_REDIS_REST_TOKEN: TOKEN };
  const edgeEnv = {
    ...store,
    SPECTRUM_WORKERS: urls(workers).join(),
    SPECTRUM_WORKER_SECRET: SECRET,
    SPECTRUM_URL_SECRET: "the secret of addresses in the lab: 0123456789",
    SPECTRUM_WEBHOOK_SECRET: `whsec_${new Uint8Array(24).toBase64()}`,
    SPECTRUM_WEBHOOK_ORIGINS: origin,
  };
  const deno = (kind: string, args: string[], env: Record<string, string>): Machine =>
    new Machine({
      kind,
      command: Deno.execPath(),
      args: ["run", "-A", "--no-check", ...args],
      env,
      ready: LISTENING,
    });
  const redisOf = (kind: string, port: number): Machine => {
    const dir = `${folder}/${kind}`;
    Deno.mkdirSync(dir);
    const args = ["--bind", "127.0.0.1", "--port", String(port), "--dir", dir, ...STORED];
    return new Machine({ kind, command: "redis-server", args, ready: /Ready to accept/ });
  };
  const machines = [
    redisOf("redis", redis),
    redisOf("queue", queue),
    new Machine({
      kind: "rest",
      command: Deno.execPath(),
      args: [
        ...["run", "-A", "--no-check", "deploy/redis_rest/main.ts", "--port", String(rest)],
        ...["--redis", `redis://127.0.0.1:${redis}`, "--token", TOKEN],
      ],
      ready: /UPSTASH_REDIS_REST_URL=/,
    }),
    ...workers.map((port) =>
      deno("worker", [
        ...["tests/gpu-worker/http/serve_fake_worker.ts", "--port", String(port)],
        ...["--step-ms", "8", "--name", `worker-${port}`],
      ], { ...store, SPECTRUM_WORKER_SECRET: SECRET })
    ),
    ...edges.map((port, index) =>
      deno("edge", ["main.ts"], {
        ...{ ...edgeEnv, PORT: String(port), SPECTRUM_BATCHES: urls(batches)[index]! },
      })
    ),
    ...batches.map((port) =>
      deno("batches", [
        ...["deploy/batches/main.ts", "--port", String(port), "--redis", `redis://127.0.0.1:${queue}`],
        ...["--lock-ms", "5000"],
      ], edgeEnv)
    ),
  ];
  stack.defer(async () => void await Promise.all(machines.map((machine) => machine[Symbol.asyncDispose]())));
  try {
    for (const part of [machines.slice(0, 2), machines.slice(2)]) {
      await Promise.all(part.map((machine) => machine.start()));
    }
  } catch (cause) {
    await stack.disposeAsync();
    throw cause;
  }
  return {
    ...{ machines, edges: urls(edges), store, hook: `${origin}/hook`, told },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Ports that were free a moment ago. */
function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}
