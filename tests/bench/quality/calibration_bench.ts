// `deno task bench:calibration`: method calibrated beside the others at equal numbers of full passes, at
// several numbers of steps, and where runs differ from what the calibration was recorded on. Prints the
// tables that docs/quality.md and docs/method.md hold.
import { readFlags } from "../../../protocol/process/read_flags.ts";
import { runCommand } from "../../../protocol/process/run_command.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { stepCorrelations } from "../../../sampler/mod.ts";
import { calibrationCells } from "./calibration_rows.ts";
import { CalibrationDraws, type CalibrationRecord } from "./calibration_draws.ts";
import { calibrationReport } from "./report_calibration.ts";
import { Flip } from "./flip.ts";
import { markdownTable } from "./markdown_table.ts";
import { mismatches } from "./mismatches.ts";
import { rivalCells, rivalReport } from "./plan_rivals.ts";
import { ResultLog } from "./result_log.ts";
import { withUniPc } from "./with_unipc.ts";
import { meanOf } from "./statistics.ts";
import { rivalPrompts, tablePrompts } from "./table_prompts.ts";

const HELP = `Usage: deno task bench:calibration [options]

  --model DIR       a calibrated checkpoint that lists its names (models/emoji)
  --prompts N       of every fifth name, on white and on colours (64)
  --steps A,B       numbers of steps (50,28,20)
  --passes A,B      numbers of full passes (4 to 16)
  --rows REGEX      only rows whose name matches
  --rivals          calibrated weights at other plans than the stored ones instead
  --mismatch        runs with other guidance, size, LoRA, prompts and seeds instead
  --python FILE     a Python with flip-evaluator: adds FLIP to the distances
  --log FILE        what has been measured; the bench goes on from it (out/calibration.jsonl)
  --seconds N       stop after N seconds; the same command goes on from there
  --report          print the tables of what has been measured
`;

/** Number of full passes at which other runs than the recorded ones are compared. */
const MISMATCH_PASSES = [8];

async function calibrationBench(args: string[], signal: AbortSignal): Promise<void> {
  const flags = readFlags(args, {
    model: "text",
    prompts: "number",
    steps: "text",
    passes: "text",
    rows: "text",
    rivals: "switch",
    mismatch: "switch",
    python: "text",
    log: "text",
    seconds: "number",
    report: "switch",
    help: "switch",
  });
  if (flags.help) return console.log(HELP);
  const { model = "models/emoji", log: path = "out/calibration.jsonl", rows = "", seconds = Infinity } =
    flags;
  const passes = flags.passes?.split(",").map(Number) ?? Array.from({ length: 13 }, (_, i) => 4 + i);
  const allSteps = (flags.steps ?? "50,28,20").split(",").map(Number);
  await Deno.mkdir("out", { recursive: true });
  using log = ResultLog.open<CalibrationRecord>(path);
  using pipeline = await openPipeline(model, { intraOpThreads: 1, graphCache: ".cache/graphs" });
  const { calibration } = pipeline.description;
  if (calibration === undefined) throw new Error(`Cannot measure as ${model} has no calibration`);
  const promptsOf = flags.rivals ? rivalPrompts : tablePrompts;
  const prompts = promptsOf(pipeline.model.names ?? []).slice(0, flags.prompts ?? 64);
  await using flip = flags.python === undefined ? undefined : new Flip(flags.python);
  const draws = new CalibrationDraws({
    pipeline,
    flip,
    log,
    signal,
    until: performance.now() + seconds * 1000,
    folder: `${path}.references`,
  });
  if (flags.mismatch) {
    const cases = mismatches(model, { prompts, passes: MISMATCH_PASSES });
    if (!flags.report) {
      for (const one of cases) await draws.measure(one);
    }
    const cell = (name: string, row: string, count: number) => {
      const values = [...log.records].filter(({ key }) =>
        key.startsWith(`${model}|${name}|${row}|${count}|`)
      );
      return values.length === 0 ? "-" : meanOf(values.map(({ psnr }) => psnr)).mean.toFixed(1);
    };
    const columns = MISMATCH_PASSES.flatMap((count) =>
      ["calibrated", "Spectrum", "fewer steps"].map((row) => [row, count] as const)
    );
    const table = cases.map(({ name }) => [name, ...columns.map(([row, count]) => cell(name, row, count))]);
    console.log(markdownTable(["run", ...columns.map(([row, count]) => `${row}, ${count}`)], table));
    return;
  }
  const secondOrder = calibration.source.scheduler === "FlowMatchEulerDiscreteScheduler";
  for (const steps of allSteps) {
    const sigmas = await draws.sigmas(prompts[0]!, steps);
    const correlations = stepCorrelations(calibration, {
      solver: { timesteps: sigmas, sigmas },
      guidance: calibration.source.guidance,
    })!;
    const options = { steps, passes, calibration, correlations, sigmas, secondOrder };
    const cells = (flags.rivals ? rivalCells(options) : calibrationCells(options))
      .filter(({ row }) => new RegExp(rows).test(row));
    const name = `${steps} steps${flags.rivals ? ", plans" : ""}`;
    if (!flags.report) {
      await draws.measure({
        name,
        prompts,
        request: (i) => ({ prompt: prompts[i]!, seed: (flags.rivals ? 80_000 : 42) + i, steps }),
        cells,
        around: ({ secondOrder }, draw) => secondOrder ? withUniPc(calibration, draw) : draw(),
      });
    }
    const report = flags.rivals ? rivalReport : calibrationReport;
    console.log(report([...log.records], { model, name, passes, cells }));
  }
}

if (import.meta.main) {
  await runCommand("bench:calibration", calibrationBench, { interrupted: "what was measured is kept" });
}
