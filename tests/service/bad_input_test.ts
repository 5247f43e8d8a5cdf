// Bad input at both HTTP surfaces of real processes: the right refusal, nothing left
// running, everybody else served.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { MAX_RUN_BYTES } from "../../protocol/wire/run_request.ts";
import { readMetric, type Service, startService, untilIdle } from "./service.ts";

const JSON_TYPE = { "content-type": "application/json" };

interface Refusal {
  status: number;
  param?: string | null;
  code?: string;
}

interface Answer {
  response: Response;
  /** Undefined if the connection was reset behind the head. */
  text: string | undefined;
}

/**
 * Asks until the answer has arrived. A server that refuses a body unread may reset
 * the connection before the client has read the refusal.
 */
async function ask(url: string, init: () => RequestInit, attempts = 5): Promise<Answer> {
  let response: Response | undefined;
  try {
    response = await fetch(url, init());
    return { response, text: await response.text() };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    if (attempts > 1) return await ask(url, init, attempts - 1);
    if (response === undefined) throw error;
    return { response, text: undefined };
  }
}

function assertRefused({ response, text }: Answer, { status, param, code }: Refusal): void {
  assert.equal(response.status, status, text ?? "");
  if (text === undefined) return;
  assert.match(response.headers.get("content-type")!, /^application\/json/);
  const { error } = JSON.parse(text);
  assert.deepEqual(Object.keys(error).sort(), ["code", "message", "param", "type"]);
  assert.ok(typeof error.message === "string" && error.message.length < 400, text);
  assert.equal(error.type, status < 500 ? "invalid_request_error" : "server_error");
  if (param !== undefined) assert.equal(error.param, param);
  if (code !== undefined) assert.equal(error.code, code);
  // Nothing of how the server is made.
  assert.doesNotMatch(text, /\/root|\/work|\.ts|node_modules|Deno|zod/);
}

/** Writes `head` on a bare connection and leaves it open. */
async function rawConnection(url: string, head: string): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  await connection.write(new TextEncoder().encode(head));
  return connection;
}

describe("bad input", () => {
  let service: Service;
  /** Both surfaces: a path that takes a body, and a body that it would take. */
  let surfaces: { name: string; url: string; path: string; body: Record<string, unknown> }[];
  before(async () => {
    service = await startService();
    surfaces = [
      {
        name: "edge",
        url: service.url,
        path: "/v1/images/generations",
        body: { prompt: "x", seed: 1, steps: 2 },
      },
      {
        name: "worker",
        url: service.workerUrl,
        path: "/runs",
        body: { model: "models/emoji", prompt: "x", seed: 1, steps: 2 },
      },
    ];
  });
  after(() => service[Symbol.asyncDispose]());

  /** One request to each surface. */
  async function bothRefuse(init: (body: Record<string, unknown>) => RequestInit, refusal: Refusal) {
    for (const { url, path, body } of surfaces) {
      const runs = await readMetric(service.workerUrl, "spectrum_runs_total");
      assertRefused(await ask(url + path, () => ({ method: "POST", ...init(body) })), refusal);
      await untilIdle(service.workerUrl);
      assert.equal(await readMetric(service.workerUrl, "spectrum_runs_total"), runs);
    }
  }

  const FIELDS: [string, Record<string, unknown>, Refusal][] = [
    ["a number as prompt", { prompt: 7 }, { status: 400, param: "prompt", code: "invalid_type" }],
    ["a missing prompt", { prompt: undefined }, {
      status: 400,
      param: "prompt",
      code: "missing_required_parameter",
    }],
    ["a prompt of 32,001 characters", { prompt: "x".repeat(32_001) }, { status: 400, param: "prompt" }],
    ["steps 0", { steps: 0 }, { status: 400, param: "steps", code: "invalid_value" }],
    ["steps 1e9", { steps: 1e9 }, { status: 400, param: "steps", code: "invalid_value" }],
    ["a fractional seed", { seed: 0.5 }, { status: 400, param: "seed", code: "invalid_type" }],
    ["a seed as text", { seed: "1" }, { status: 400, param: "seed", code: "invalid_type" }],
    ["an unknown model", { model: "../../etc/passwd" }, {
      status: 404,
      param: "model",
      code: "model_not_found",
    }],
    ["an unknown method", { spectrum: { method: "magic" } }, { status: 400, param: "spectrum.method" }],
    ["an array of options", { spectrum: [] }, { status: 400, param: "spectrum", code: "invalid_type" }],
    ["a negative window", { spectrum: { window_size: -1 } }, { status: 400, param: "spectrum.window_size" }],
    ["m = passes", { steps: 6, spectrum: { m: 6 } }, { status: 400, param: "spectrum.m" }],
    ["guidance where there is none", { guidance_scale: 3 }, { status: 400, param: "guidance_scale" }],
    ["an unknown field", { nonsense: 1 }, { status: 400, param: "nonsense", code: "unknown_parameter" }],
    ["an unknown format", { output_format: "gif" }, {
      status: 400,
      param: "output_format",
      code: "invalid_value",
    }],
    ["deep nesting in a field", { user: JSON.parse("[".repeat(5000) + "]".repeat(5000)) }, { status: 400 }],
  ];
  for (const [name, fields, refusal] of FIELDS) {
    it(`both surfaces refuse ${name}`, () =>
      bothRefuse((body) => ({ headers: JSON_TYPE, body: JSON.stringify({ ...body, ...fields }) }), refusal));
  }

  it("the edge refuses sizes by the model's own rules", async () => {
    for (const size of ["63x64", "64x0", "99999x99999", "64", "-64x64", "64x64x64", "１６x１６"]) {
      const response = await fetch(`${service.url}/v1/images/generations`, {
        method: "POST",
        headers: JSON_TYPE,
        body: JSON.stringify({ prompt: "x", size }),
      });
      assertRefused({ response, text: await response.text() }, { status: 400, param: "size" });
    }
  });

  it("both surfaces refuse bodies that are no JSON", async () => {
    for (
      const body of ["", "{", "[".repeat(100_000), `{"prompt": "x",}`, new Uint8Array([0x7b, 0xff, 0x7d])]
    ) {
      await bothRefuse(() => ({ headers: JSON_TYPE, body }), { status: 400, code: "invalid_json" });
    }
  });

  it("both surfaces refuse other content types", async () => {
    for (
      const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
    ) {
      await bothRefuse((body) => ({ headers: { "content-type": type }, body: JSON.stringify(body) }), {
        status: 415,
      });
    }
  });

  it("both surfaces refuse huge bodies, announced or not", async () => {
    // Runs may carry a start image, so the worker reads more than the edge's JSON route does.
    const huge = `{"prompt":"${"x".repeat(MAX_RUN_BYTES)}"}`;
    await bothRefuse(() => ({ headers: JSON_TYPE, body: huge }), { status: 413, code: "request_too_large" });
    const unannounced = () => new Blob([huge]).stream();
    await bothRefuse(() => ({ headers: JSON_TYPE, body: unannounced() }), { status: 413 });
  });

  it("both surfaces refuse unknown paths and fields", async () => {
    for (const { url } of surfaces) {
      for (
        const path of [
          "/nothing",
          "/v1/nothing",
          "/v1/models/nope",
          "/runs/nope/events",
          "/%00",
          "/page/nope.js",
        ]
      ) {
        assertRefused(await ask(url + path, () => ({})), { status: 404 });
      }
    }
    assertRefused(await ask(`${service.url}/v1/images/generations`, () => ({})), { status: 405 });
    assertRefused(await ask(`${service.workerUrl}/runs/nope`, () => ({ method: "DELETE" })), { status: 404 });
  });

  it("connections that stop half way hold nobody up and leave nothing", async () => {
    const connections: Deno.TcpConn[] = [];
    for (const { url, path } of surfaces) {
      for (let i = 0; i < 10; i++) {
        connections.push(await rawConnection(url, `POST ${path} HTTP/1.1\r\nHost: localhost\r\nX-Slow: `));
        const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
        connections.push(await rawConnection(url, `${head}Content-Length: 500\r\n\r\n{"prompt": "x"`));
        connections.push(await rawConnection(url, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"pro`));
      }
    }
    for (const { url, path, body } of surfaces) {
      const response = await fetch(url + path, {
        method: "POST",
        headers: JSON_TYPE,
        body: JSON.stringify(body),
      });
      assert.ok(response.ok, await response.text());
      await response.body?.cancel().catch(() => {});
    }
    for (const connection of connections) connection.close();
    await untilIdle(service.workerUrl);
  });

  it("a body that never arrives is given up after the deadline", async () => {
    const connections = await Promise.all(surfaces.map(({ url, path }) =>
      rawConnection(
        url,
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ` +
          `99\r\n\r\n{`,
      )
    ));
    for (const connection of connections) {
      let text = "";
      for await (const part of connection.readable.pipeThrough(new TextDecoderStream())) {
        // The body may come after the head.
        if ((text += part).endsWith("}")) break;
      }
      assert.match(text, /^HTTP\/1.1 408 .*"request_timeout"/s);
    }
  });

  it("streams that are closed early end their runs", async () => {
    const COMPLETED = `spectrum_runs_total{model="models/emoji",outcome="completed"}`;
    const completed = await readMetric(service.workerUrl, COMPLETED);
    for (let i = 0; i < 5; i++) {
      const response = await fetch(`${service.url}/v1/images/generations`, {
        method: "POST",
        headers: JSON_TYPE,
        body: JSON.stringify({ prompt: "x", seed: 500 + i, steps: 1000, stream: true, n: 2 }),
      });
      const reader = response.body!.getReader();
      await reader.read();
      await reader.cancel();
    }
    await untilIdle(service.workerUrl);
    assert.equal(await readMetric(service.workerUrl, COMPLETED), completed);
  });
});
