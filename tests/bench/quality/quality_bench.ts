// `deno task bench:quality`: what the accelerated methods cost in quality, drawn by this project's own pipeline.
import { join } from "node:path";
import { openPipeline } from "../../../gpu-worker/pipelines/open_pipeline.ts";
import { readFlags } from "../../../gpu-worker/cli/read_flags.ts";
import { runCommand } from "../../../gpu-worker/cli/run_command.ts";
import { UsageError } from "../../../gpu-worker/cli/usage_error.ts";
import { BACKGROUNDS, measureRecognition, type RecognitionRecord } from "./measure_recognition.ts";
import { RECOGNITION_METHODS } from "./methods.ts";
import { openPictureEncoder } from "./open_picture_encoder.ts";
import { Recognizer } from "./recognizer.ts";
import { ResultLog } from "./result_log.ts";
import { TrainingPictures } from "./training_pictures.ts";

const HELP = `Usage: deno task bench:quality --data DIR [options]

  --data DIR        what models/emoji-training/prepare.mjs wrote: the pictures that names stand for
  --log DIR         what has been measured, and where to go on (out/quality)
  --threads N       of ONNX Runtime (1)
`;

const MODEL = "models/emoji";

async function qualityBench(args: string[], signal: AbortSignal): Promise<void> {
  const flags = readFlags(args, { data: "text", log: "text", threads: "number", help: "switch" });
  if (flags.help) return console.log(HELP);
  const { data, log: folder = "out/quality", threads = 1 } = flags;
  if (data === undefined) throw new UsageError("--data is missing; --help lists what there is");
  await Deno.mkdir(folder, { recursive: true });
  const pictures = TrainingPictures.read(data);
  using encoder = openPictureEncoder(MODEL, threads);
  const recognizer = await Recognizer.create(encoder.encode, { pictures, colors: BACKGROUNDS });
  using pipeline = await openPipeline(MODEL, { intraOpThreads: threads });
  using log = ResultLog.open<RecognitionRecord>(join(folder, "recognition.jsonl"));
  const started = performance.now();
  await measureRecognition({
    pipeline,
    recognizer,
    names: pictures.names,
    methods: RECOGNITION_METHODS,
    log,
    signal,
    onItem: (done, of) => {
      if (done % 20 === 0) {
        console.log(`${done}/${of} ${((performance.now() - started) / 1000).toFixed(0)} s`);
      }
    },
  });
}

if (import.meta.main) await runCommand("bench:quality", qualityBench);
