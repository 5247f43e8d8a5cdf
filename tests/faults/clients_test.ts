// The official client with its default retries, behind a network that fails: one run a request.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import OpenAI from "openai";
import { WITHOUT_REDIS } from "../service/redis.ts";
import { untilIdle } from "../service/service.ts";
import { type Cluster, seedsOf, startCluster } from "./cluster.ts";

/** A request on its way to an edge. */
interface Passing {
  upstream: string;
  headers: Record<string, string>;
  body: string;
}

/** "cut": the client's connection breaks without a word. */
type Fault = (passing: Passing) => Promise<{ status: number; body: string } | "cut">;

/** Answers by `faults`, one after the other, then passes on, to one edge and the other by turns. */
async function startProxy(edges: string[], faults: Fault[]) {
  let requests = 0;
  const server = createServer(async (request, response) => {
    const upstream = edges[requests++ % edges.length]! + request.url!;
    const fault = faults.shift() ?? forward;
    let body = "";
    for await (const chunk of request) body += chunk;
    const { host: _host, connection: _connection, ...headers } = request.headers;
    const answer = await fault({ upstream, headers: headers as Record<string, string>, body });
    if (answer === "cut") return void response.socket!.destroy();
    response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}/v1`,
    requests: () => requests,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

async function forward({ upstream, headers, body }: Passing, signal?: AbortSignal) {
  const response = await fetch(upstream, { method: "POST", headers, body, ...signal && { signal } });
  return { status: response.status, body: await response.text() };
}

const FAULTS: Record<string, Fault> = {
  "a 500 before the edge": () => Promise.resolve({ status: 500, body: "{}" }),
  "a 502 in place of the answer": async (passing) => {
    await forward(passing);
    return { status: 502, body: "{}" };
  },
  "connections cut in mid-run": async (passing) => {
    const cut = new AbortController();
    setTimeout(() => cut.abort(), 150);
    await forward(passing, cut.signal).catch(() => {});
    return "cut";
  },
  "a gateway that gives up while the edge works on": async (passing) => {
    forward(passing).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 150));
    return { status: 504, body: "{}" };
  },
};

describe("openai client behind a failing network", { skip: WITHOUT_REDIS }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ stepMs: 40 });
  });
  after(() => cluster[Symbol.asyncDispose]());

  for (const seed of [undefined, 4711]) {
    for (const [index, [name, fault]] of Object.entries(FAULTS).entries()) {
      it(`${name}, ${seed === undefined ? "no seed" : "a seed"}: one run`, async () => {
        await using proxy = await startProxy(cluster.edges.map(({ url }) => url), [fault, fault]);
        const client = new OpenAI({ baseURL: proxy.url, apiKey: "unused" });
        const worker = cluster.workers[0]!;
        const before = seedsOf(worker).length;
        const fields = { prompt: name, steps: 10, ...seed !== undefined && { seed: seed + index } };
        const { data } = await client.images.generate(fields as OpenAI.ImageGenerateParamsNonStreaming);
        assert.ok(data![0]!.b64_json);
        assert.equal(proxy.requests(), 3);
        await untilIdle(worker.url);
        assert.deepEqual(seedsOf(worker).slice(before), [(data![0] as unknown as { seed: number }).seed]);
      });
    }
  }

  it("requests at the same time are not each other's retries", async () => {
    await using proxy = await startProxy(cluster.edges.map(({ url }) => url), []);
    const client = new OpenAI({ baseURL: proxy.url, apiKey: "unused" });
    const worker = cluster.workers[0]!;
    const before = seedsOf(worker).length;
    const fields = { prompt: "x", steps: 1 } as OpenAI.ImageGenerateParamsNonStreaming;
    await Promise.all(Array.from({ length: 4 }, () => client.images.generate(fields)));
    assert.equal(new Set(seedsOf(worker).slice(before)).size, 4);
  });
});
