// A worker process with a fake pipeline; everything else is the worker's own. For tests that kill workers or
// need many quick runs. Arguments: --port N --step-ms N --name TEXT, --video for
// a model of videos beside the one of pictures. The prompt "hold" keeps the device until its run is
// cancelled. SPECTRUM_WORKER_SECRET and UPSTASH_REDIS_REST_* as for a worker.
import { parseArgs } from "@std/cli/parse-args";
import { openSharedRuns } from "../../../gpu-worker/http/shared_runs.ts";
import { structuredLog } from "../../../protocol/process/structured_log.ts";
import { readWorkerSecret } from "../../../protocol/process/worker_secret.ts";
import { FakePipeline } from "./fake_pipeline.ts";
import { startTestWorker } from "./test_worker.ts";

const flags = parseArgs(Deno.args, { string: ["port", "step-ms", "name"], boolean: ["video"] });
const stepMs = Number(flags["step-ms"] ?? 0);
const log = structuredLog({ process: "worker" });
const env = (name: string) => Deno.env.get(name);
const pipeline = new FakePipeline({
  beforeStep: (index) => {
    if (index === 0) log("info", "device", { seed: pipeline.request?.seed });
    if (pipeline.request?.prompt === "hold") return new Promise(() => {});
    if (stepMs > 0) return new Promise((resolve) => setTimeout(resolve, stepMs));
  },
});
const worker = startTestWorker([
  pipeline,
  ...flags.video ? [new FakePipeline({ id: "fake-video", video: true })] : [],
], {
  port: Number(flags.port ?? 0),
  secret: readWorkerSecret(env),
  sharedRuns: openSharedRuns({ env, log }),
  onLog: log,
  logPrompts: env("SPECTRUM_LOG_PROMPTS") === "1",
  ...flags.name !== undefined && { name: flags.name },
});
log("info", "listening", { url: worker.url, pid: Deno.pid });
