// Streams as Python's clients read them, OpenAI's and httpx-sse, with heartbeats between the events.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import type { ImageSize } from "../../gpu-worker/media/decoded_image.ts";
import { encodeImage } from "../../gpu-worker/media/encode_image.ts";
import { MemoryResultStore } from "../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../routes/app.ts";
import { MemoryKeyStore } from "../../routes/keys/memory_key_store.ts";
import { FakePipeline } from "../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../gpu-worker/http/test_worker.ts";
import { testPool } from "../routes/runs/pool.ts";
import { findPython, runPython } from "./python.ts";

const openai = findPython("openai");
const httpxSse = findPython("httpx", "httpx_sse");

const OPENAI = `
import asyncio, base64, json, sys
from openai import APIError, AsyncOpenAI, OpenAI

url = sys.argv[1]
files = zip(("start.png", "mask.png"), sys.argv[2:])
image, mask = [(name, base64.b64decode(data), "image/png") for name, data in files]
options = dict(base_url=url, api_key="unused", max_retries=0)
fields = dict(prompt="x", stream=True, partial_images=1)
calls = [
    ("generate", {}),
    ("edit", dict(image=[image], mask=mask)),
    ("edit", dict(image=[image, image], model="looking")),
]

def seen(event):
    return [event.type, len(base64.b64decode(event.b64_json)) > 0]

def sync():
    client = OpenAI(**options)
    return [[seen(event) for event in getattr(client.images, name)(**fields, **more)] for name, more in calls]

async def later():
    client = AsyncOpenAI(**options)
    return [
        [seen(event) async for event in await getattr(client.images, name)(**fields, **more)]
        for name, more in calls
    ]

def plain():
    client = OpenAI(**options)
    edits = [dict(image=image, mask=mask), dict(image=[image, image], model="looking")]
    answers = [client.images.edit(prompt="plain", **more) for more in edits]
    return [len(base64.b64decode(answer.data[0].b64_json)) > 0 for answer in answers]

def refused():
    try:
        return [list(OpenAI(**options).images.generate(**{**fields, "prompt": "fails"}))]
    except APIError as error:
        return error.message

print(json.dumps([sync(), asyncio.run(later()), plain(), refused()]))
`;

const VIDEOS = `
import json, sys, warnings
warnings.simplefilter("ignore")
from openai import APIError, OpenAI

client = OpenAI(base_url=sys.argv[1], api_key="unused", max_retries=0)
file = ("x.mp4", b"x", "video/mp4")
source = client.videos.create_and_poll(prompt="plain", model="moving", seconds="1", size="32x16")
remix = client.videos.poll(client.videos.remix(source.id, prompt="plain too").id)

def refusal(call):
    try:
        return str(call())
    except APIError as error:
        return [error.code, error.message]

print(json.dumps({
    "kept": [[video.model, video.size, video.seconds, video.seed, video.status] for video in (source, remix)],
    "remixed": [source.remixed_from_video_id, remix.remixed_from_video_id == source.id, remix.prompt],
    "refused": [
        refusal(lambda: client.videos.edit(prompt="x", video=file)),
        refusal(lambda: client.videos.extend(prompt="x", seconds="4", video=file)),
        refusal(lambda: client.videos.create_character(name="x", video=file)),
        refusal(lambda: client.images.create_variation(image=file)),
        refusal(lambda: client.moderations.create(input="x")),
    ],
}))
`;

const HTTPX_SSE = `
import json, sys
import httpx
from httpx_sse import connect_sse

fields = dict(prompt="x", stream=True, partial_images=1)
with httpx.Client(timeout=60) as client:
    with connect_sse(client, "POST", sys.argv[1] + "/images/generations", json=fields) as source:
        seen = [[sse.event, sse.json()["type"], sse.id != "", sse.retry] for sse in source.iter_sse()]
        print(json.dumps(seen))
`;

/** An edge on a port. Each run rests before its last step until its stream has had three heartbeats. */
function start() {
  const heartbeats = new EventTarget();
  const pipeline = new FakePipeline({
    beforeStep: async (index) => {
      if (pipeline.request!.prompt === "fails") throw new Error("secret");
      // Without a stream there are no heartbeats.
      if (index !== 3 || pipeline.request!.prompt === "plain") return;
      for (let left = 3; left > 0; left--) {
        await new Promise((resolve) => heartbeats.addEventListener("beat", resolve, { once: true }));
      }
    },
  });
  const references = { max: 2, pictureSize: (first: ImageSize) => first };
  const others = [{ id: "looking", references }, { id: "moving", video: true }];
  const worker = startTestWorker([pipeline, ...others.map((options) => new FakePipeline(options))]);
  const app = createApp({
    workers: testPool(worker.url),
    results: new MemoryResultStore(),
    keys: [],
    keyStore: new MemoryKeyStore(),
    log: () => {},
    maxAttempts: 1,
    heartbeatMs: 20,
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request, info) => {
    const { body, status, headers } = await app.fetch(request, info);
    const watched = body?.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          controller.enqueue(chunk);
          if (chunk[0] === ":".charCodeAt(0)) heartbeats.dispatchEvent(new Event("beat"));
        },
      }),
    );
    return new Response(watched ?? null, { status, headers });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1`,
    async [Symbol.asyncDispose]() {
      app[Symbol.dispose]();
      await server.shutdown();
      await worker[Symbol.asyncDispose]();
    },
  };
}

describe("Python clients", () => {
  const skipOpenai = openai === undefined &&
    "Python's openai is not installed (SPECTRUM_PYTHON may name a Python)";
  it("openai reads images.generate() and images.edit(), streamed or not", { skip: skipOpenai }, async () => {
    await using edge = start();
    const image = await encodeImage({ width: 16, height: 16, data: new Float32Array(3 * 16 * 16) });
    const clear = { width: 16, height: 16, channels: 4 as const, background: { r: 0, g: 0, b: 0, alpha: 0 } };
    const mask = await sharp({ create: clear }).png().toBuffer();
    const [sync, later, plain, refused] = await runPython(openai!, {
      script: OPENAI,
      args: [edge.url, image.toBase64(), mask.toString("base64")],
    }) as unknown[];
    const events = ["image_generation", "image_edit", "image_edit"].map((kind) => [
      [`${kind}.partial_image`, true],
      [`${kind}.completed`, true],
    ]);
    assert.deepEqual([sync, later, plain], [events, events, [true, true]]);
    assert.match(String(refused), /failed/);
  });

  it("openai remixes videos, and reads why a call is refused", { skip: skipOpenai }, async () => {
    await using edge = start();
    const { kept, remixed, refused } = await runPython(openai!, { script: VIDEOS, args: [edge.url] }) as {
      kept: unknown[][];
      remixed: unknown[];
      refused: [string, string][];
    };
    assert.deepEqual(kept[1], kept[0]);
    assert.deepEqual(kept[0]!.slice(0, 3), ["moving", "32x16", "1"]);
    assert.deepEqual(remixed, [null, true, "plain too"]);
    for (const [code, message] of refused) {
      assert.equal(code, "not_supported");
      assert.match(message, /Cannot answer POST \/v1\//);
    }
  });

  const skipHttpx = httpxSse === undefined && "Python's httpx and httpx-sse are not installed";
  it("httpx-sse reads events with their ids and one retry", { skip: skipHttpx }, async () => {
    await using edge = start();
    const events = await runPython(httpxSse!, { script: HTTPX_SSE, args: [edge.url] });
    const types = ["image_generation.partial_image", "image_generation.completed"];
    assert.deepEqual(events, types.map((type, index) => [type, type, true, index === 0 ? 2000 : null]));
  });
});
