// `deno task bench:calibration`: method calibrated beside the others at equal numbers of full passes, at several numbers of
// steps, and where runs differ from what the calibration was recorded on. Prints the tables that docs/quality.md holds.
import { readFlags } from "../../../protocol/process/read_flags.ts";
import { runCommand } from "../../../protocol/process/run_command.ts";
import { picturePsnr, type Pixels } from "../../../gpu-worker/cli/calibrate/picture_psnr.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { planSteps, SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";
import { markdownTable } from "./markdown_table.ts";
import { ResultLog } from "./result_log.ts";

const HELP = `Usage: deno task bench:calibration [options]

  --model DIR       a calibrated checkpoint that lists its names (models/emoji)
  --prompts N       every fifth name, on white and on colours (64)
  --steps A,B       numbers of steps (50,28,20)
  --passes A,B      numbers of full passes (4,5,6,7,8,10,12,14,16)
  --mismatch        runs with other guidance, size, prompts and seeds instead
  --log FILE        what has been measured; the bench goes on from it (out/calibration.jsonl)
`;

const BACKGROUNDS = ["", " on a yellow background", " on a blue background", " on a pink background"];
/** Prompts that no checkpoint here was trained on. */
const UNKNOWN = [
  "a submarine made of glass",
  "Kathedrale im Nebel",
  "zzz",
  "three astronauts",
  "a",
  "42 paper boats",
];

interface Case {
  name: string;
  /** The request of each prompt. */
  request: (index: number) => Omit<PartialRequest, "sampler">;
  prompts: number;
}

type Sampler = NonNullable<PartialRequest["sampler"]>;
type Row = { name: string; samplerOf: (passes: number) => { steps?: number; sampler: Sampler } | undefined };

async function calibrationBench(args: string[], signal: AbortSignal): Promise<void> {
  const flags = readFlags(args, {
    model: "text",
    prompts: "number",
    steps: "text",
    passes: "text",
    mismatch: "switch",
    log: "text",
    help: "switch",
  });
  if (flags.help) return console.log(HELP);
  const { model = "models/emoji", prompts = 64, log: path = "out/calibration.jsonl" } = flags;
  const passes = (flags.passes ?? "4,5,6,7,8,10,12,14,16").split(",").map(Number);
  await Deno.mkdir("out", { recursive: true });
  using log = ResultLog.open<{ key: string; psnr: number }>(path);
  using pipeline = await openPipeline(model, { intraOpThreads: 1 });
  const names = pipeline.model.names ?? [];
  const promptOf = (i: number) => {
    const name = names[(5 * i) % names.length]!;
    return name.split(" ").length >= 3 ? name : name + BACKGROUNDS[i % BACKGROUNDS.length];
  };
  const measure = new Measure(pipeline, log, signal);
  if (flags.mismatch) {
    const rows = [];
    for (const one of mismatches(promptOf, prompts)) rows.push(await measure.row(one, [7, 10]));
    console.log(
      markdownTable(["run", "calibrated, 7", "Spectrum, 7", "calibrated, 10", "Spectrum, 10"], rows),
    );
    return;
  }
  for (const steps of (flags.steps ?? "50,28,20").split(",").map(Number)) {
    const one: Case = {
      name: `${steps} steps`,
      prompts,
      request: (i) => ({ prompt: promptOf(i), seed: 42 + i, steps }),
    };
    const rows = [];
    for (const row of methods(steps)) {
      const cells = [];
      for (const count of passes) {
        const made = row.samplerOf(count);
        cells.push(made === undefined ? "-" : await measure.cell(one, row.name, count, made));
      }
      rows.push([row.name, ...cells]);
    }
    console.log(`\n${markdownTable([`PSNR in dB, ${steps} steps`, ...passes.map(String)], rows)}`);
  }
}

function methods(steps: number): Row[] {
  const windowed = (name: string, sampler: Sampler, windows: readonly Record<string, number>[]): Row => ({
    name,
    samplerOf: (passes) => {
      const base = SAMPLER_DEFAULTS[sampler.method!];
      const window = windows.find((window) =>
        planSteps(steps, { fullPasses: { by: "window", ...base, ...window } })
          .filter((kind) => kind === "full").length === passes
      );
      return window && { sampler: { ...sampler, ...window } };
    },
  });
  const flexes = [0.75, 3, 0.25, 0.5, 1, 1.5, 2, 4, 6, 9].map((flexWindow) => ({
    windowSize: 2,
    flexWindow,
  }));
  const even = [4, 6, 5, 3, 7, 8, 9, 10, 12, 15, 20].map((windowSize) => ({ windowSize }));
  return [
    { name: "fewer steps", samplerOf: (passes) => ({ steps: passes, sampler: { method: "none" } }) },
    windowed("reuse", { method: "reuse" }, even),
    windowed("TaylorSeer, order 1", { method: "taylorseer", order: 1 }, even),
    windowed("TaylorSeer, order 2", { method: "taylorseer", order: 2 }, even),
    windowed("Spectrum", { method: "spectrum" }, flexes),
    {
      name: "Spectrum, calibrated plan",
      samplerOf: (passes) => ({ sampler: { method: "spectrum", passes } }),
    },
    {
      name: "TaylorSeer 2, calibrated plan",
      samplerOf: (passes) => ({ sampler: { method: "taylorseer", order: 2, passes } }),
    },
    { name: "calibrated", samplerOf: (passes) => ({ sampler: { method: "calibrated", passes } }) },
  ];
}

function mismatches(promptOf: (i: number) => string, prompts: number): Case[] {
  const of = (name: string, change: Partial<PartialRequest>): Case => ({
    name,
    prompts,
    request: (i) => ({ prompt: promptOf(i), seed: 42 + i, ...change }),
  });
  return [
    of("as recorded, other prompts", {}),
    { ...of("seeds from 10^9 on", {}), request: (i) => ({ prompt: promptOf(i), seed: 1e9 + i }) },
    of("guidance 1 (none)", { trueCfgScale: 1 }),
    of("guidance 1.5", { trueCfgScale: 1.5 }),
    of("guidance 3", { trueCfgScale: 3 }),
    of("guidance 5", { trueCfgScale: 5 }),
    of("96x96 pixels", { width: 96, height: 96 }),
    of("64x96 pixels", { width: 64, height: 96 }),
    of("37 steps", { steps: 37 }),
    of("100 steps", { steps: 100 }),
    {
      name: "unknown prompts",
      prompts: Math.min(prompts, UNKNOWN.length),
      request: (i) => ({ prompt: UNKNOWN[i]!, seed: 42 + i }),
    },
  ];
}

class Measure {
  readonly #references = new Map<string, Pixels>();

  constructor(
    readonly pipeline: Pipeline,
    readonly log: ResultLog<{ key: string; psnr: number }>,
    readonly signal: AbortSignal,
  ) {}

  async row(one: Case, passes: readonly number[]): Promise<string[]> {
    const cells: string[] = [];
    for (const count of passes) {
      for (const method of ["calibrated", "spectrum"] as const) {
        cells.push(await this.cell(one, method, count, { sampler: { method, passes: count } }));
      }
    }
    return [one.name, ...cells];
  }

  /** Returns the mean, and half of its 95 % interval. */
  async cell(
    one: Case,
    method: string,
    passes: number,
    made: { steps?: number; sampler: Sampler },
  ): Promise<string> {
    const values: number[] = [];
    for (let i = 0; i < one.prompts; i++) {
      const key = `${this.pipeline.model.digest} ${one.name} ${method} ${passes} ${i}`;
      const known = this.log.get(key)?.psnr;
      if (known !== undefined) {
        values.push(known);
        continue;
      }
      const request = one.request(i);
      const drawn = await this.#draw({ ...request, ...made });
      const psnr = Number(picturePsnr(await this.#reference(one, i), drawn).toFixed(3));
      this.log.add({ key, psnr });
      values.push(psnr);
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) /
      Math.max(1, values.length - 1);
    return `${mean.toFixed(1)} ±${(1.96 * Math.sqrt(variance / values.length)).toFixed(1)}`;
  }

  async #reference(one: Case, i: number): Promise<Pixels> {
    const key = `${one.name} ${i}`;
    const known = this.#references.get(key) ??
      await this.#draw({ ...one.request(i), sampler: { method: "none" } });
    this.#references.set(key, known);
    return known;
  }

  async #draw(request: PartialRequest): Promise<Pixels> {
    const complete = completeRequest(request, this.pipeline.description);
    const { image, video } = await this.pipeline.generate(complete, { signal: this.signal });
    return { image, ...video && { video } };
  }
}

if (import.meta.main) {
  await runCommand("bench:calibration", calibrationBench, { interrupted: "what was measured is kept" });
}
