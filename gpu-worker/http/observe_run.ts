// Shows a run to operators: as a line in the log with its request's id, and as a span in its request's trace.
import { context, ROOT_CONTEXT, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { Run } from "./run.ts";

export interface ObserveRunOptions {
  /** Makes the run's result; never rejects. */
  execute: (run: Run) => Promise<void>;
  log: Log;
  /** Whether prompts may be logged. @default false */
  logPrompts?: boolean;
}

const tracer = trace.getTracer("spectrum-worker");

/** Executes `run`, traces it and logs its end. Never rejects. */
export async function observeRun(run: Run, options: ObserveRunOptions): Promise<void> {
  const { execute, log, logPrompts = false } = options;
  const { model, prompt } = run.request;
  const { requestId, context: parent = ROOT_CONTEXT } = run.origin ?? {};
  const span = tracer.startSpan("run", { attributes: { "spectrum.model": model } }, parent);
  try {
    await context.with(trace.setSpan(parent, span), () => execute(run));
    describe(span, run);
  } finally {
    span.end();
  }
  log("info", "run", {
    request_id: requestId,
    run: run.id,
    attempt: run.attempt,
    model,
    outcome: run.outcome?.type,
    ...run.outcome?.type === "completed" && { seconds: run.outcome.receipt.seconds },
    ...logPrompts && { prompt },
  });
}

function describe(span: Span, { outcome }: Run): void {
  if (outcome?.type === "completed") {
    const { full_steps, forecast_steps, width, height } = outcome.receipt;
    span.setAttributes({
      "spectrum.full_steps": full_steps.length,
      "spectrum.forecast_steps": forecast_steps.length,
      "spectrum.size": `${width}x${height}`,
    });
  } else {
    span.setAttribute("spectrum.outcome", outcome?.type ?? "unknown");
    if (outcome?.type === "failed") span.setStatus({ code: SpanStatusCode.ERROR });
  }
}
