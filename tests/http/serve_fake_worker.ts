// A worker process without a model: the pipeline is fake, everything around it is the worker's own. For tests that need
// workers which can be killed, or many quick runs. Arguments: --port N --step-ms N; SPECTRUM_WORKER_SECRET as for a worker.
import { parseArgs } from "@std/cli/parse-args";
import { readWorkerSecret } from "../../protocol/worker_secret.ts";
import { FakePipeline } from "./fake_pipeline.ts";
import { startTestWorker } from "./test_worker.ts";

const flags = parseArgs(Deno.args, { string: ["port", "step-ms"] });
const stepMs = Number(flags["step-ms"] ?? 0);
const worker = startTestWorker([
  new FakePipeline({
    beforeStep: () => stepMs === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, stepMs)),
  }),
], { port: Number(flags.port ?? 0), secret: readWorkerSecret((name) => Deno.env.get(name)) });
console.log(JSON.stringify({ process: "worker", message: "listening", url: worker.url, pid: Deno.pid }));
