// Whether a batch pays: a full pass of a FLUX by its number of rows, and on the CPU
// beside runs on a thread each.
import { median, round } from "../../gpu-worker/cli/bench/statistics.ts";
import { Checkpoint } from "../../gpu-worker/checkpoint/checkpoint.ts";
import { type FluxCheckpoint, readFluxCheckpoint } from "../../gpu-worker/families/flux/flux_checkpoint.ts";
import { fluxFeeds } from "../../gpu-worker/families/flux/flux_feeds.ts";
import { type DType, type ProviderName, Runtime } from "../../gpu-worker/runtime/mod.ts";

export interface RowsTableOptions {
  model: string;
  /** Rows of a picture: 2 under classifier-free guidance. */
  branches: number;
  /** @default "cpu" */
  provider?: ProviderName;
  /** @default "float32" */
  dtype?: DType;
  /** Rounds of each row of the table, in turn. */
  rounds: number;
}

/** Pictures of a batch. */
const PICTURES = [1, 2, 4, 8];
/** The same of runs on a thread each. */
const BESIDE = [1, 2, 4];
/** Tokens of text. */
const TEXT = 12;

type Pass = () => Promise<unknown>;

/** Prints the table. */
export async function rowsTable(options: RowsTableOptions): Promise<void> {
  const { model, branches, provider = "cpu", dtype = "float32", rounds } = options;
  const flux = readFluxCheckpoint(Checkpoint.open(model), dtype);
  using stack = new DisposableStack();
  const rows: { name: string; pictures: number; run: Pass; ms: number[] }[] = [];
  const add = (name: string, pictures: number, run: Pass) => rows.push({ name, pictures, run, ms: [] });

  const passes = await openPasses(stack, { flux, provider, dtype });
  for (const pictures of PICTURES) {
    add(`${pictures} in a batch`, pictures, passes(pictures * branches));
  }
  const cores = navigator.hardwareConcurrency;
  if (provider === "cpu" && cores > 1) {
    const single = await openPasses(stack, { flux, provider, dtype, intraOpThreads: 1 });
    add("1, on one thread", 1, single(branches));
    for (const pictures of BESIDE) {
      const beside = Array.from({ length: cores }, () => single(pictures * branches));
      add(
        `${cores} x ${pictures}, on a thread each`,
        cores * pictures,
        () => Promise.all(beside.map((run) => run())),
      );
    }
  }
  for (let turn = -1; turn < rounds; turn++) {
    for (const { run, ms } of rows) {
      const started = performance.now();
      await run();
      if (turn >= 0) ms.push(performance.now() - started);
    }
  }
  const alone = rows[0]!.ms;
  console.log(`a full pass of ${model} on ${provider}, ${branches} rows a picture, ${rounds} rounds in turn`);
  console.table(rows.map(({ name, pictures, ms }) => ({
    pictures: name,
    "median ms": round(median(ms), 2),
    "least ms": round(Math.min(...ms), 2),
    "least ms a picture": round(Math.min(...ms) / pictures, 2),
    "pictures / s over 1, medians": round(median(alone) * pictures / median(ms), 3),
    "of least": round(Math.min(...alone) * pictures / Math.min(...ms), 3),
  })));
}

/** @returns what makes a pass of so many rows, which may be under way several times */
async function openPasses(
  stack: DisposableStack,
  { flux, provider, dtype, ...threads }: {
    flux: FluxCheckpoint;
    provider: ProviderName;
    dtype: DType;
    intraOpThreads?: number;
  },
): Promise<(rows: number) => Pass> {
  const { config, defaults, latentScale } = flux;
  const runtime = stack.use(Runtime.open({ provider, ...threads }));
  const trunk = stack.use(await runtime.createSession(flux.buildGraphs().trunk));
  const size = {
    channels: config.inChannels / 4,
    height: defaults.height / latentScale.spatial,
    width: defaults.width / latentScale.spatial,
  };
  const tokens = size.height * size.width / 4;
  const prompt = {
    tokens: TEXT,
    embeds: new Float32Array(TEXT * config.jointAttentionDim).fill(0.1),
    pooled: new Float32Array(config.pooledProjectionDim).fill(0.1),
  };
  return (rows) => {
    const branches = Array.from({ length: rows }, () => prompt);
    const made = stack.use(fluxFeeds(runtime, { config, branches, size, guidanceScale: 3.5 }));
    const feeds = {
      ...made.trunk(new Float32Array(tokens * config.inChannels).fill(0.5), 500),
      forecast_weights: stack.use(runtime.tensor("float32", [1, 1], new Float32Array(1))),
      history: stack.use(runtime.allocate(dtype, [1, 1, 1, 1])),
    };
    const data = new Float32Array(rows * tokens * config.inChannels);
    const output = stack.use(runtime.tensor("float32", [rows, tokens, config.inChannels], data));
    const feature = stack.use(runtime.allocate(dtype, [rows, tokens, config.innerDim]));
    return () => trunk.run(feeds, { fetch: ["output", "feature"], outputs: { output, feature } });
  };
}
