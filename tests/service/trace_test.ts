// OpenTelemetry as Deno brings it (OTEL_DENO=true): one trace from the edge's request to the worker's, at a
// collector of this test's own.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type RunningTask, startFakeWorker, startTask } from "./service.ts";
import { until } from "../until.ts";

/** A span in OTLP's JSON, with the name of the service it comes from. */
interface Span {
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  attributes: Record<string, unknown>;
}

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: string | number; doubleValue?: number };
}

interface TracesBody {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: { spans: (Omit<Span, "service" | "attributes"> & { attributes: Attribute[] })[] }[];
  }[];
}

function toRecord(attributes: readonly Attribute[] = []): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) =>
      [key, value.stringValue ?? value.intValue ?? value.doubleValue] as const
    ),
  );
}

/** Takes what exporters send, OTLP over HTTP as JSON. */
function startCollector() {
  const spans: Span[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.text();
    if (new URL(request.url).pathname === "/v1/traces") {
      for (const { resource, scopeSpans } of (JSON.parse(body) as TracesBody).resourceSpans) {
        const service = String(toRecord(resource.attributes)["service.name"]);
        spans.push(
          ...scopeSpans.flatMap((scope) =>
            scope.spans.map((span) => ({ ...span, service, attributes: toRecord(span.attributes) }))
          ),
        );
      }
    }
    return Response.json({});
  });
  const env = (service: string) => ({
    OTEL_DENO: "true",
    OTEL_SERVICE_NAME: service,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.addr.port}`,
    OTEL_BSP_SCHEDULE_DELAY: "100",
    OTEL_DENO_CONSOLE: "ignore",
  });
  return { spans, env, [Symbol.asyncDispose]: () => server.shutdown() };
}

const LISTENING = /"message":"listening","url":"([^"]+)"/;
const PROMPT = "a prompt that is nobody's business";

describe("a request through edge and worker", () => {
  it("is one trace of two services, down to the run on the device", async () => {
    await using collector = startCollector();
    await using worker = await startFakeWorker([], collector.env("worker"));
    await using edge = await startTask("edge", {
      env: { PORT: "0", SPECTRUM_WORKERS: worker.found, ...collector.env("edge") },
      until: LISTENING,
    });
    const trace = "0af7651916cd43dd8448eb211c80319c";
    await generate(edge.found, { traceparent: `00-${trace}-b7ad6b7169203331-01` });
    const find = (service: string, matches: (span: Span) => boolean) =>
      collector.spans.find((span) => span.service === service && span.traceId === trace && matches(span));
    const pathIs = (path: string) => ({ attributes }: Span) => attributes["url.path"] === path;
    // From the client's span downwards: each is the child of the one before. They come in any order.
    const chain = [
      await until(() => find("edge", pathIs("/v1/images/generations"))),
      await until(() => find("edge", pathIs("/runs"))),
      await until(() => find("worker", pathIs("/runs"))),
      await until(() => find("worker", ({ name }) => name === "run")),
    ];
    assert.equal(chain[0]!.parentSpanId, "b7ad6b7169203331");
    for (const [index, span] of chain.slice(1).entries()) {
      assert.equal(span.parentSpanId, chain[index]!.spanId, `span ${index + 1}`);
    }
    assert.equal(Number(chain[3]!.attributes["spectrum.full_steps"]), 4);
    assert.ok(!JSON.stringify(collector.spans).includes(PROMPT));
  });

  it("has its id in the logs of both, and its prompt only where that was asked for", async () => {
    for (const asked of [false, true]) {
      const env = { SPECTRUM_LOG_PROMPTS: asked ? "1" : "" };
      await using worker = await startFakeWorker([], env);
      await using edge = await startTask("edge", {
        env: { PORT: "0", SPECTRUM_WORKERS: worker.found },
        until: LISTENING,
      });
      await generate(edge.found, { "x-request-id": "request-of-a-test" });
      const lineOf = async (task: RunningTask, message: string) =>
        JSON.parse(await until(() => task.lines.find((line) => line.includes(`"message":"${message}"`))));
      assert.equal((await lineOf(edge, "request")).request_id, "request-of-a-test");
      const run = await lineOf(worker, "run");
      assert.deepEqual([run.request_id, run.outcome, run.prompt], [
        "request-of-a-test",
        "completed",
        asked ? PROMPT : undefined,
      ]);
      assert.equal([...edge.lines, ...worker.lines].some((line) => line.includes(PROMPT)), asked);
    }
  });
});

async function generate(edge: string, headers: Record<string, string>): Promise<void> {
  const answer = await fetch(`${edge}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ prompt: PROMPT, seed: 1 }),
  });
  assert.equal(answer.status, 200);
  await answer.body?.cancel();
}
