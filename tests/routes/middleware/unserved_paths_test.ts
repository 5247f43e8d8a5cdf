// Every call of the official client that this server cannot answer gets OpenAI's error shape with a reason.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { testPool } from "../runs/pool.ts";

const LOCAL = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;
const app = createApp({
  workers: testPool("http://127.0.0.1:1"),
  results: new MemoryResultStore(),
  keys: [],
  keyStore: new MemoryKeyStore(),
  log: () => {},
});
const client = new OpenAI({
  baseURL: "http://localhost/v1",
  apiKey: "unused",
  maxRetries: 0,
  fetch: async (url, init) => await app.request(url as string, init, LOCAL),
});
const file = await toFile(new Uint8Array(8), "x.png", { type: "image/png" });
const model = "gpt-4o";

const CALLS: Record<string, [call: () => Promise<unknown>, reason: RegExp]> = {
  "images.createVariation": [() => client.images.createVariation({ image: file }), /Try this: POST .*edits/],
  "videos.edit": [() => client.videos.edit({ prompt: "x", video: file }), /Try this: POST .*remix/],
  "videos.extend": [
    () => client.videos.extend({ prompt: "x", seconds: "4", video: file }),
    /Try this: .*input_reference/,
  ],
  "videos.createCharacter": [
    () => client.videos.createCharacter({ name: "x", video: file }),
    /no characters are kept/,
  ],
  "videos.getCharacter": [() => client.videos.getCharacter("char_1"), /no characters are kept/],
  "moderations.create": [() => client.moderations.create({ input: "x" }), /judges no texts/],
  "uploads.create": [
    () => client.uploads.create({ bytes: 1, filename: "x", mime_type: "text/plain", purpose: "batch" }),
    /Try this: POST \/v1\/files/,
  ],
  "uploads.parts.create": [() => client.uploads.parts.create("u_1", { data: file }), /do not come in parts/],
  "uploads.complete": [() => client.uploads.complete("u_1", { part_ids: [] }), /do not come in parts/],
  "contentProvenanceChecks.create": [
    () => client.post("/content_provenance_checks", { body: {} }),
    /png-info/,
  ],
  "models.delete": [() => client.models.delete("x/y"), /the operator names them/],
  "chat.completions.create": [
    () => client.chat.completions.create({ model, messages: [{ role: "user", content: "x" }] }),
    /writes no text\. Try this: make images with POST \/v1\/images\/generations/,
  ],
  "responses.create": [() => client.responses.create({ model, input: "x" }), /writes no text/],
  "embeddings.create": [() => client.embeddings.create({ model, input: "x" }), /no embeddings/],
  "audio.speech.create": [
    () => client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "x" }),
    /sound/,
  ],
  "audio.transcriptions.create": [
    () => client.audio.transcriptions.create({ model: "whisper-1", file }),
    /sound/,
  ],
  "fineTuning.jobs.list": [() => client.fineTuning.jobs.list(), /as they are/],
};

describe("unservedSentence()", () => {
  for (const [name, [call, reason]] of Object.entries(CALLS)) {
    it(`answers ${name} with a reason in OpenAI's error shape`, async () => {
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof OpenAI.APIError);
        assert.ok(error.status === 404 || error.status === 405, `${error.status}`);
        assert.deepEqual([error.type, error.code], ["invalid_request_error", "not_supported"]);
        assert.match(error.message, reason);
        assert.match(error.message, /Cannot answer (POST|GET|DELETE) \/v1\//);
        return true;
      });
    });
  }

  it("leaves other unknown paths as they are", async () => {
    const response = await app.request("http://localhost/v1/nonsense", {}, LOCAL);
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code], [404, "not_found"]);
  });
});
