// Clients without a library of ours or OpenAI's: curl, EventSource, a bare connection.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type Service, startService } from "./service.ts";
import { skipWithout } from "../installed.ts";

const BODY = { prompt: "green apple", seed: 1, steps: 4, spectrum: { method: "none" } };

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("curl", { args: ["--silent", "--show-error", ...args] }).output();
  return new TextDecoder().decode(stdout);
}

describe("plain clients", () => {
  let service: Service;
  before(async () => {
    service = await startService();
  });
  after(() => service[Symbol.asyncDispose]());

  const curlOptions = { skip: skipWithout("curl") };

  it("curl gets a picture", curlOptions, async () => {
    const text = await curl(`${service.url}/v1/images/generations`, "--json", JSON.stringify(BODY));
    const { data: [picture], size } = JSON.parse(text);
    assert.equal(size, "64x64");
    assert.equal(atob(picture.b64_json).slice(1, 4), "PNG");
  });

  it("curl --no-buffer follows a stream", curlOptions, async () => {
    const body = JSON.stringify({ ...BODY, seed: 2, stream: true, partial_images: 1 });
    const text = await curl(
      "--no-buffer",
      "--include",
      `${service.url}/v1/images/generations`,
      "--json",
      body,
    );
    const [head, ...rest] = text.split("\r\n\r\n");
    assert.match(head!, /^HTTP\/1.1 200/);
    assert.match(head!, /content-type: text\/event-stream/i);
    assert.match(head!, /cache-control: no-cache, no-transform/i);
    assert.match(head!, /x-accel-buffering: no/i);
    const blocks = rest.join("\r\n\r\n").trim().split("\n\n");
    assert.match(blocks[0]!, /^retry: \d+$/m);
    assert.deepEqual(blocks.map((block) => /^event: (.*)$/m.exec(block)?.[1]), [
      "image_generation.partial_image",
      "image_generation.completed",
    ]);
    for (const block of blocks) assert.match(block, /^id: \d+$/m);
  });

  it("EventSource follows a run of the worker, reconnects and stops at its end", async () => {
    const submitted = await fetch(`${service.workerUrl}/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...BODY, model: "models/emoji", seed: 3, previews: 1 }),
    });
    assert.equal(submitted.status, 202);
    const { id } = await submitted.json();
    const source = new EventSource(`${service.workerUrl}/runs/${id}/events`);
    const seen: string[] = [];
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    for (const type of ["queued", "started", "step", "preview", "completed"]) {
      source.addEventListener(type, ({ lastEventId }) => seen.push(`${lastEventId} ${type}`));
    }
    // The stream's end makes it reconnect once, with Last-Event-ID; 204 then tells it to stay away.
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED && resolve());
    await closed;
    assert.deepEqual(seen.map((line) => Number(line.split(" ")[0])), seen.map((_, index) => index + 1));
    assert.deepEqual(seen.filter((line) => line.endsWith("step")).length, 4);
    assert.match(seen.at(-1)!, /completed$/);
  });

  it("a stream's headers come before its first picture does", async () => {
    const body = JSON.stringify({ ...BODY, seed: 4, steps: 1000, stream: true });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${service.url}/v1/images/generations`, { method: "POST", headers, body });
    // A thousand steps are far from done.
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const reader = response.body!.getReader();
    assert.match(new TextDecoder().decode((await reader.read()).value), /^retry:/);
    await reader.cancel();
  });

  it("GET / is the page, /healthz and /readyz answer without a key", async () => {
    const page = await fetch(service.url);
    assert.match(page.headers.get("content-type")!, /text\/html/);
    assert.match(await page.text(), /<html/);
    for (const path of ["/healthz", "/readyz"]) {
      const response = await fetch(service.url + path);
      assert.equal(response.status, 200);
      await response.body!.cancel();
    }
  });
});
