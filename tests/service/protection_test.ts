// Attacks of clients with connections: real bytes on real sockets, against the edge and
// against HAProxy before it.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type RunningTask, startFakeWorker, startTask } from "./service.ts";
import { until } from "../until.ts";
import { skipWithout } from "../installed.ts";

const LISTENING = /"message":"listening","url":"([^"]+)"/;
const SILENT = 500;
const KEY = "key-of-a-test";

let worker: RunningTask;
let edge: RunningTask;
before(async () => {
  worker = await startFakeWorker();
  edge = await startTask("edge", {
    env: { PORT: "0", SPECTRUM_WORKERS: worker.found, SPECTRUM_API_KEYS: KEY },
    until: LISTENING,
  });
});
after(async () => {
  await edge[Symbol.asyncDispose]();
  await worker[Symbol.asyncDispose]();
});

function connect(url: string): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(url);
  return Deno.connect({ hostname, port: Number(port) });
}

/** Returns the bytes until the other side closes. */
async function readAll(connection: Deno.TcpConn): Promise<string> {
  const text = await new Response(connection.readable).text().catch(() => "");
  return text;
}

async function generate(url: string): Promise<number> {
  const answer = await fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${KEY}` },
    body: JSON.stringify({ prompt: "x" }),
  });
  await answer.body?.cancel();
  return answer.status;
}

describe("the edge's connections", () => {
  it("hundreds that send nothing hold nobody up", async () => {
    const silent = await Promise.all(Array.from({ length: SILENT }, () => connect(edge.found)));
    try {
      for (let i = 0; i < 5; i++) assert.equal(await generate(edge.found), 200);
    } finally {
      for (const connection of silent) connection.close();
    }
  });

  // Requests that two servers could read in two ways. Each hides a second request from one of them.
  const SECOND = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  const AMBIGUOUS: [string, string][] = [
    ["two lengths", `Content-Length: 3\r\nContent-Length: 40\r\n\r\nabc${SECOND}`],
    ["a list of lengths", `Content-Length: 3, 4\r\n\r\nabc${SECOND}`],
    [
      "an encoding before a length",
      `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${SECOND}`,
    ],
    [
      "a length before an encoding",
      `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SECOND}`,
    ],
    ["an unknown encoding", `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SECOND}`],
    ["two encodings", `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${SECOND}`],
    ["a folded header", `X-A: b\r\n Content-Length: 3\r\n\r\nabc${SECOND}`],
    ["a folded encoding", `Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SECOND}`],
    ["a space before the colon", `Content-Length : 3\r\n\r\nabc${SECOND}`],
    ["a signed length", `Content-Length: +3\r\n\r\nabc${SECOND}`],
    ["two hosts", `Host: y\r\nContent-Length: 0\r\n\r\n${SECOND}`],
    ["a NUL in a header", `X-A: a\0b\r\n\r\n${SECOND}`],
  ];
  for (const [name, rest] of AMBIGUOUS) {
    it(`a request with ${name} is refused, and its connection closed`, async () => {
      const connection = await connect(edge.found);
      const request = `POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\n${rest}`;
      await connection.write(new TextEncoder().encode(request));
      const answer = await readAll(connection);
      assert.match(answer, /^HTTP\/1\.1 400 /);
      assert.equal(answer.match(/HTTP\/1\.1 /g)!.length, 1, answer);
    });
  }

  it("chunks that are none end the request, and nothing behind them is read", async () => {
    for (const chunk of ["0x3\r\nabc", "fffffffffffffffff\r\nabc", "-3\r\nabc"]) {
      const connection = await connect(edge.found);
      const head =
        `POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${KEY}\r\n` +
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
      await connection.write(new TextEncoder().encode(`${head}${chunk}\r\n0\r\n\r\n${SECOND}`));
      const answer = await readAll(connection);
      assert.ok(!answer.includes(" 200 ") && (answer.match(/HTTP\/1\.1 /g) ?? []).length <= 1, answer);
    }
  });
});

describe("deploy/haproxy.cfg", { skip: skipWithout("haproxy") }, () => {
  it("closes connections that send nothing or never finish a header, and serves the others", async () => {
    const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const front = `127.0.0.1:${free.addr.port}`;
    free.close();
    const env = { FRONT: front, EDGE: new URL(edge.found).host, HEADER_TIMEOUT: "2s" };
    const haproxy = new Deno.Command("haproxy", {
      args: ["-db", "-f", "deploy/haproxy.cfg"],
      env,
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      const url = `http://${front}`;
      let ended = false;
      haproxy.status.then(() => ended = true);
      const health = () => fetch(`${url}/healthz`).then((answer) => answer.text(), () => "");
      await until(async () => ended || (await health()).includes("ok"));
      assert.ok(!ended, "HAProxy has ended");
      const started = performance.now();
      const silent = await Promise.all(Array.from({ length: SILENT }, () => connect(url)));
      const slow = await connect(url);
      await slow.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "));
      for (let i = 0; i < 3; i++) assert.equal(await generate(url), 200);
      const answers = await Promise.all([slow, ...silent].map(readAll));
      assert.match(answers[0]!, /^HTTP\/1\.[01] 408 /);
      assert.ok(performance.now() - started >= 1900, "they had their time");
      // No key, and not this machine's own program, as the proxy says who asks.
      const keyless = await fetch(`${url}/v1/models`, { headers: { "x-forwarded-for": "" } });
      assert.equal(keyless.status, 401);
      await keyless.body?.cancel();
    } finally {
      try {
        haproxy.kill("SIGTERM");
      } catch {
        // It has ended already.
      }
      await haproxy.status;
    }
  });
});
