import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ApiError } from "../../../routes/page/browser/api_error.js";
import { generate } from "../../../routes/page/browser/generate.js";
import { imagesOf, readEditRequest } from "../../../routes/requests/edit_request.ts";
import { parseImageRequest } from "../../../routes/requests/image_request.ts";

const REQUEST: Parameters<typeof generate>[0] = {
  prompt: "red heart",
  seed: 7,
  size: "64x64",
  output_format: "png",
  spectrum: { method: "spectrum", w: 0.5 },
};

describe("generate()", () => {
  it("generate() asks for a stream that protocol/ accepts, with the key", async () => {
    const sent: RequestInit[] = [];
    const fetch: typeof globalThis.fetch = (_url, init) => {
      sent.push(init ?? {});
      return Promise.resolve(new Response(event({ type: "image_generation.completed" })));
    };
    await Array.fromAsync(generate(REQUEST, { fetch, apiKey: "se_1", partialImages: 2 }));
    const parsed = parseImageRequest(JSON.parse(String(sent[0]?.body)));
    assert.deepEqual([parsed.stream, parsed.progress, parsed.partial_images, parsed.seed], [
      true,
      true,
      2,
      7,
    ]);
    assert.equal(new Headers(sent[0]?.headers).get("authorization"), "Bearer se_1");
  });

  it("generate() sends an image in a form that protocol/ accepts; its events keep their names", async () => {
    const sent: Request[] = [];
    const fetch: typeof globalThis.fetch = (url, init) => {
      sent.push(new Request(new URL(String(url), "http://localhost"), init));
      return Promise.resolve(
        new Response(event({ type: "image_edit.progress" }) + event({ type: "image_edit.completed" })),
      );
    };
    const image = new File([new Uint8Array([1, 2, 3])], "start.png", { type: "image/png" });
    const request = { ...REQUEST, image, strength: 0.5 };
    const events = await Array.fromAsync(generate(request, { fetch, apiKey: "se_1", partialImages: 2 }));
    assert.deepEqual(events.map(({ type }) => type), [
      "image_generation.progress",
      "image_generation.completed",
    ]);
    assert.equal(new URL(sent[0]!.url).pathname, "/v1/images/edits");
    assert.equal(sent[0]!.headers.get("authorization"), "Bearer se_1");
    const { image: { base64 }, strength, spectrum, seed, stream } = await readEditRequest(sent[0]!);
    assert.deepEqual([base64, strength, spectrum?.w, seed, stream], ["AQID", 0.5, 0.5, 7, true]);
  });

  it("generate() sends images to look at as parts of a form, in their order", async () => {
    const sent: Request[] = [];
    const fetch: typeof globalThis.fetch = (url, init) => {
      sent.push(new Request(new URL(String(url), "http://localhost"), init));
      return Promise.resolve(new Response(event({ type: "image_edit.completed" })));
    };
    const references = [1, 2, 3].map((byte) =>
      new File([new Uint8Array([byte])], `${byte}.png`, { type: "image/png" })
    );
    await Array.fromAsync(generate({ ...REQUEST, references }, { fetch }));
    assert.equal(new URL(sent[0]!.url).pathname, "/v1/images/edits");
    const request = await readEditRequest(sent[0]!);
    assert.deepEqual(imagesOf(request).map(({ base64 }) => base64), ["AQ==", "Ag==", "Aw=="]);
  });

  it("generate() sends a control image as a data: URL, or in the form of a start image", async () => {
    const sent: RequestInit[] = [];
    const fetch: typeof globalThis.fetch = (_url, init) => {
      sent.push(init ?? {});
      return Promise.resolve(new Response(event({ type: "image_generation.completed" })));
    };
    const control_image = new File([new Uint8Array([1, 2, 3])], "edges.png", { type: "image/png" });
    const request = { ...REQUEST, control_image, controlnet: "canny", control_scale: 0.5 };
    await Array.fromAsync(generate(request, { fetch }));
    const parsed = parseImageRequest(JSON.parse(String(sent[0]?.body)));
    assert.deepEqual([parsed.control_image?.base64, parsed.controlnet], ["AQID", "canny"]);
    await Array.fromAsync(generate({ ...request, image: control_image }, { fetch }));
    const form = new Request("http://localhost", { method: "POST", body: sent[1]!.body! });
    const edit = await readEditRequest(form);
    assert.deepEqual([edit.control_image?.base64, edit.control_scale], ["AQID", 0.5]);
  });

  it("generate() yields the events in order", async () => {
    const types = ["image_generation.queued", "image_generation.progress", "image_generation.completed"];
    const body = types.map((type) => event({ type })).join("");
    const events = await Array.fromAsync(generate(REQUEST, { fetch: answer(body) }));
    assert.deepEqual(events.map(({ type }) => type), types);
  });

  it("generate() begins a job, continues its stream, and takes up one that has begun", async () => {
    const urls: string[] = [];
    const jobs: string[] = [];
    const progress = event({ type: "image_generation.progress" });
    const completed = event({ type: "image_generation.completed" });
    const bodies = [`id: 1\n${progress}`, completed, completed];
    const fetch: typeof globalThis.fetch = (url, init) => {
      urls.push(`${url} after ${new Headers(init?.headers).get("last-event-id")}`);
      return Promise.resolve(new Response(bodies.shift(), { headers: { "x-spectrum-job": "job_1" } }));
    };
    const wait = () => Promise.resolve();
    const events = await Array.fromAsync(generate(REQUEST, { fetch, wait, onJob: (job) => jobs.push(job) }));
    assert.deepEqual(events.map(({ type }) => type.slice("image_generation.".length)), [
      "progress",
      "completed",
    ]);
    await Array.fromAsync(generate(REQUEST, { fetch, wait, job: "job_2" }));
    assert.deepEqual(jobs, ["job_1"]);
    assert.deepEqual(urls, [
      "/v1/images/generations after null",
      "/v1/jobs/job_1/events after 1",
      "/v1/jobs/job_2/events after null",
    ]);
  });

  it("generate() cancels its job when aborted, before its answer too", async () => {
    for (const isEarly of [true, false]) {
      const controller = new AbortController();
      const begun = Promise.withResolvers<void>();
      const cancelled = Promise.withResolvers<string>();
      const fetch: typeof globalThis.fetch = async (url) => {
        if (String(url).endsWith("/cancel")) cancelled.resolve(String(url));
        if (isEarly) await begun.promise;
        const endless = new ReadableStream({
          start: (c) => c.enqueue(new TextEncoder().encode(event({ type: "image_generation.progress" }))),
        });
        return new Response(endless, { headers: { "x-spectrum-job": "job_1" } });
      };
      const read = async () => {
        const { signal } = controller;
        if (isEarly) queueMicrotask(() => controller.abort());
        for await (const _ of generate(REQUEST, { fetch, signal })) controller.abort();
      };
      await assert.rejects(read(), { name: "AbortError" });
      begun.resolve();
      assert.equal(await cancelled.promise, "/v1/jobs/job_1/cancel");
    }
  });

  it("generate() throws the service's refusal with status and param", async () => {
    const body = JSON.stringify({ error: { message: "No such size", param: "size", code: "invalid_value" } });
    const error = await failure(answer(body, { status: 400 }));
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.message, error.status, error.param], ["No such size", 400, "size"]);
  });

  it("generate() throws an answer that is no JSON by its status", async () => {
    const error = await failure(answer("<h1>Bad gateway</h1>", { status: 502 }));
    assert.match(String(error), /status 502/);
  });

  it("generate() throws an error event", async () => {
    const error = await failure(answer(`event: error\ndata: {"error":{"message":"Out of memory"}}\n\n`));
    assert.equal(error instanceof ApiError && error.message, "Out of memory");
  });

  it("generate() throws if the stream ends without a picture", async () => {
    const error = await failure(answer(event({ type: "image_generation.queued" })));
    assert.match(String(error), /ended before the picture/);
  });
});

function event(body: { type: string }): string {
  return `event: ${body.type}\ndata: ${JSON.stringify(body)}\n\n`;
}

function answer(body: string, init: ResponseInit = {}): typeof fetch {
  return () => Promise.resolve(new Response(body, init));
}

async function failure(fetch: typeof globalThis.fetch): Promise<unknown> {
  try {
    await Array.fromAsync(generate(REQUEST, { fetch }));
  } catch (error) {
    return error;
  }
  assert.fail("generate() did not throw");
}
