// `deno task bench:quality`: what the accelerated methods cost in quality, drawn by
// this project's own pipeline.
import { join } from "node:path";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { readFlags } from "../../../protocol/process/read_flags.ts";
import { runCommand } from "../../../protocol/process/run_command.ts";
import { UsageError } from "../../../protocol/process/usage_error.ts";
import { fidelityMethods } from "./fidelity_methods.ts";
import { findFamilyPlans } from "./find_family_plans.ts";
import { Flip } from "./flip.ts";
import { type FidelityRecord, measureFidelity } from "./measure_fidelity.ts";
import { BACKGROUNDS, measureRecognition, type RecognitionRecord } from "./measure_recognition.ts";
import { NONE, RECOGNITION_METHODS } from "./methods.ts";
import { openPictureEncoder } from "./open_picture_encoder.ts";
import { type Measured, publish } from "./publish.ts";
import { qualitySheet } from "./quality_sheet.ts";
import { Recognizer } from "./recognizer.ts";
import { ResultLog } from "./result_log.ts";
import { TrainingPictures } from "./training_pictures.ts";

const HELP = `Usage: deno task bench:quality [options]

Measures how near each method comes to method none, and with --data whether its pictures show their names.
A measurement that was stopped goes on where it was.

  --data DIR        what models/emoji-training/prepare.mjs wrote: the pictures that names stand for
  --python FILE     a Python with flip-evaluator: adds FLIP to the distances
  --log DIR         what has been measured (out/quality)
  --threads N       of ONNX Runtime (1)
  --only PART       fidelity | recognition | publish: nothing is measured
  --publish         write tables and plots into docs/quality.md from what has been measured so far
`;

const MODEL = "models/emoji";
const DOCS = "docs";
const SHOWN_PASSES = 10;

async function qualityBench(args: string[], signal: AbortSignal): Promise<void> {
  const flags = readFlags(args, {
    data: "text",
    python: "text",
    log: "text",
    threads: "number",
    only: "text",
    publish: "switch",
    help: "switch",
  });
  if (flags.help) return console.log(HELP);
  const { data, python, log = "out/quality", threads = 1, only } = flags;
  if (only !== undefined && !["fidelity", "recognition", "publish"].includes(only)) {
    throw new UsageError(`--only must be fidelity, recognition or publish: current value is '${only}'`);
  }
  await Deno.mkdir(log, { recursive: true });
  using pipeline = await openPipeline(MODEL, { intraOpThreads: threads });
  if (only !== "publish") {
    if (only !== "recognition") await fidelity(pipeline, { python, log, signal });
    if (only !== "fidelity" && data !== undefined) {
      await recognition(pipeline, { data, log, threads, signal });
    }
  }
  if (!flags.publish && only !== "publish") return;
  const results = measured(log);
  await publish(results, DOCS);
  const shown = [
    "Spectrum, w 0.5",
    "TaylorSeer, order 2",
    "fewer steps",
    "planned TaylorSeer, order 2",
    "planned Spectrum, w 0.5",
  ];
  const methods = fidelityMethods(results.plans).filter(({ passes }) => passes === SHOWN_PASSES);
  const rows = [NONE, ...shown.map((name) => methods.find((method) => method.name === name)!)];
  await Deno.writeFile(join(DOCS, "quality-sheet.png"), await qualitySheet(pipeline, rows));
}

function measured(folder: string): Measured {
  using fidelity = ResultLog.open<FidelityRecord>(join(folder, "fidelity.jsonl"));
  using recognition = ResultLog.open<RecognitionRecord>(join(folder, "recognition.jsonl"));
  return {
    plans: JSON.parse(Deno.readTextFileSync(join(folder, "plans.json"))),
    fidelity: [...fidelity.records],
    recognition: [...recognition.records],
  };
}

async function fidelity(
  pipeline: Pipeline,
  { python, log: folder, signal }: { python: string | undefined; log: string; signal: AbortSignal },
): Promise<void> {
  const names = pipeline.model.names ?? [];
  const { calibration } = pipeline.description;
  if (calibration === undefined) throw new Error(`Cannot measure as ${MODEL} has no calibration`);
  const plans = findFamilyPlans(calibration);
  Deno.writeTextFileSync(join(folder, "plans.json"), JSON.stringify(plans, null, 1));
  using log = ResultLog.open<FidelityRecord>(join(folder, "fidelity.jsonl"));
  await using flip = python === undefined ? undefined : new Flip(python);
  const onPrompt = progress("fidelity");
  await measureFidelity({ pipeline, names, methods: fidelityMethods(plans), flip, log, signal, onPrompt });
}

async function recognition(
  pipeline: Pipeline,
  { data, log: folder, threads, signal }: {
    data: string;
    log: string;
    threads: number;
    signal: AbortSignal;
  },
): Promise<void> {
  const pictures = TrainingPictures.read(data);
  using encoder = openPictureEncoder(MODEL, threads);
  const recognizer = await Recognizer.create(encoder.encode, { pictures, colors: BACKGROUNDS });
  using log = ResultLog.open<RecognitionRecord>(join(folder, "recognition.jsonl"));
  await measureRecognition({
    pipeline,
    recognizer,
    names: pictures.names,
    methods: RECOGNITION_METHODS,
    log,
    signal,
    onItem: progress("recognition"),
  });
}

/** A line each half minute. */
function progress(part: string): (done: number, of: number) => void {
  const started = performance.now();
  let shown = started;
  return (done, of) => {
    const now = performance.now();
    if (now - shown < 30_000 && done < of) return;
    shown = now;
    console.log(`${part}: ${done} of ${of} after ${((now - started) / 1000).toFixed(0)} s`);
  };
}

if (import.meta.main) {
  await runCommand("bench:quality", qualityBench, { interrupted: "what was measured is kept" });
}
