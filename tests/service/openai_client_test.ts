// The official client against the real `deno task start`, with the embedded checkpoint.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import OpenAI from "openai";
import sharp from "sharp";
import type { Receipt } from "../../protocol/wire/receipt.ts";
import { readMetric, type Service, startService, untilIdle } from "./service.ts";
import { until } from "../until.ts";

/** Fields of our own beside OpenAI's. */
interface Extended {
  seed: number;
  receipt: Receipt;
}

type ErrorClass = new (...args: never[]) => InstanceType<typeof OpenAI.APIError>;

/** Few steps, all of them full: quick on two cores. */
const QUICK = { steps: 4, spectrum: { method: "none" } };

function picturesOf(response: OpenAI.ImagesResponse): (OpenAI.Image & Extended)[] {
  return response.data as (OpenAI.Image & Extended)[];
}

function bytesOf({ b64_json }: { b64_json?: string }): Uint8Array {
  return Uint8Array.fromBase64(b64_json!);
}

describe("openai client", () => {
  let service: Service;
  let client: OpenAI;
  before(async () => {
    service = await startService();
    client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: "unused", maxRetries: 0 });
  });
  after(() => service[Symbol.asyncDispose]());

  // Extension fields are top-level; the client's types know OpenAI's only.
  const generate = (fields: Record<string, unknown>) =>
    client.images.generate({ prompt: "red heart", ...fields } as OpenAI.ImageGenerateParamsNonStreaming);
  const generateRaw = (fields: Record<string, unknown>) => generate(fields).withResponse();
  const stream = (fields: Record<string, unknown>) =>
    client.images.generate(
      { prompt: "red heart", stream: true, ...fields } as OpenAI.ImageGenerateParamsStreaming,
    );

  it("images.edit() draws over an image from the step that its strength gives", async () => {
    const [start] = picturesOf(await generate({ seed: 880_401, ...QUICK }));
    const fields = { seed: 2, steps: 8, strength: 0.5, spectrum: '{"method": "none"}' };
    const image = await OpenAI.toFile(bytesOf(start!), "heart.png", { type: "image/png" });
    const edit = (change: object) =>
      client.images.edit(
        { image, prompt: "blue heart", ...fields, ...change } as OpenAI.ImageEditParamsNonStreaming,
      );
    const response = await edit({});
    const [picture] = picturesOf(response);
    const { width, height, format } = await sharp(bytesOf(picture!)).metadata();
    assert.deepEqual([width, height, format], [64, 64, "png"]);
    assert.deepEqual([picture!.receipt.full_steps.length, picture!.receipt.options.strength], [4, 0.5]);
    const [again] = picturesOf(await edit({}));
    assert.deepEqual([again!.receipt.cache, again!.b64_json], ["hit", picture!.b64_json]);
    await assert.rejects(edit({ mask: image }), (error) => error instanceof OpenAI.BadRequestError);
  });

  it("images.edit() draws the transparent places of a mask, and streams it", async () => {
    const side = 64;
    const rgba = Uint8Array.from(
      { length: 4 * side * side },
      (_, i) => i % 4 === 3 && (i >> 2) % side < side / 2 ? 0 : 255,
    );
    const raw = { width: side, height: side, channels: 4 as const };
    const hole = await OpenAI.toFile(await sharp(rgba, { raw }).png().toBuffer(), "mask.png", {
      type: "image/png",
    });
    const [start] = picturesOf(await generate({ seed: 880_402, ...QUICK }));
    const image = await OpenAI.toFile(bytesOf(start!), "heart.png", { type: "image/png" });
    const fields = { image: [image], mask: hole, prompt: "blue heart", seed: 3, steps: 8, strength: 0.5 };
    const pixels = async (bytes: Uint8Array) => await sharp(bytes).removeAlpha().raw().toBuffer();
    const own = await pixels(bytesOf(start!));
    const assertMasked = async (b64_json: string) => {
      const drawn = await pixels(bytesOf({ b64_json }));
      const columns = new Set(
        [...own.keys()].filter((i) => own[i] !== drawn[i]).map((i) => Math.floor(i / 3) % side),
      );
      assert.ok(columns.size > 8 && Math.max(...columns) < side / 2, `${[...columns]}`);
    };
    const response = await client.images.edit(fields as OpenAI.ImageEditParamsNonStreaming);
    await assertMasked(response.data![0]!.b64_json!);
    const events = await client.images.edit(
      { ...fields, seed: 4, stream: true } as OpenAI.ImageEditParamsStreaming,
    );
    let last: OpenAI.ImageEditStreamEvent | undefined;
    for await (const event of events) last = event;
    assert.equal(last?.type, "image_edit.completed");
    await assertMasked(last!.b64_json);
    // This model takes no references.
    await assert.rejects(
      client.images.edit({ ...fields, image: [image, image] } as OpenAI.ImageEditParamsNonStreaming),
      (error) => error instanceof OpenAI.BadRequestError && error.param === "image",
    );
  });

  it("images.generate() makes a picture with a receipt", async () => {
    const response = await generate({ seed: 1, ...QUICK });
    const [picture] = picturesOf(response);
    const { width, height, format } = await sharp(bytesOf(picture!)).metadata();
    assert.deepEqual([width, height, format], [64, 64, "png"]);
    assert.deepEqual([response.size, response.output_format, response.background], [
      "64x64",
      "png",
      "opaque",
    ]);
    const { usage } = response;
    // 64 pixels are 16 latents of the VAE, packed in pairs: 8 x 8 tokens.
    assert.deepEqual([usage!.output_tokens, usage!.total_tokens], [64, 64 + usage!.input_tokens]);
    const { receipt } = picture!;
    assert.deepEqual([receipt.seed, receipt.steps, receipt.method, receipt.cache], [1, 4, "none", "miss"]);
    assert.deepEqual([receipt.full_steps, receipt.forecast_steps], [[0, 1, 2, 3], []]);
    assert.ok(receipt.seconds.total >= receipt.seconds.denoise);
  });

  it("images.generate() takes the extension fields", async () => {
    const response = await generate({
      seed: 2,
      steps: 12,
      true_cfg_scale: 1.5,
      negative_prompt: "blue",
      size: "64x64",
      spectrum: { method: "taylorseer", order: 2, window_size: 3, flex_window: 0, warmup_steps: 3 },
    });
    const { receipt } = picturesOf(response)[0]!;
    assert.equal(receipt.method, "taylorseer");
    assert.equal(receipt.options.order, 2);
    assert.equal(receipt.options.true_cfg_scale, 1.5);
    assert.deepEqual(receipt.full_steps, [0, 1, 2, 5, 8, 11]);
    assert.deepEqual(Object.keys(receipt.forecast_errors).map(Number).filter((step) => step > 2), [5, 8, 11]);
  });

  it("images.generate() draws a seed, echoes it, and the echo gives the same picture", async () => {
    const drawn = await generate(QUICK);
    const { seed } = picturesOf(drawn)[0]!;
    const again = await generate({ seed, ...QUICK });
    assert.equal(again.data![0]!.b64_json, drawn.data![0]!.b64_json);
    assert.notEqual(picturesOf(await generate(QUICK))[0]!.seed, seed);
  });

  it("images.generate() with n = 3 makes seeds seed..seed+2, each reproducible alone", async () => {
    const three = await generate({ n: 3, seed: 10, ...QUICK });
    const pictures = picturesOf(three);
    assert.deepEqual(pictures.map(({ seed }) => seed), [10, 11, 12]);
    assert.equal(new Set(pictures.map(({ b64_json }) => b64_json)).size, 3);
    const { data, response } = await generateRaw({ seed: 11, ...QUICK });
    assert.equal(response.headers.get("x-spectrum-cache"), "hit");
    assert.equal(data.data![0]!.b64_json, pictures[1]!.b64_json);
  });

  for (const format of ["png", "jpeg", "webp"] as const) {
    it(`images.generate() encodes ${format}`, async () => {
      const small = await generate({ seed: 1, ...QUICK, output_format: format, output_compression: 10 });
      const fine = await generate({ seed: 1, ...QUICK, output_format: format, output_compression: 95 });
      assert.equal((await sharp(bytesOf(small.data![0]!)).metadata()).format, format);
      const [less, more] = [bytesOf(small.data![0]!).length, bytesOf(fine.data![0]!).length];
      assert.ok(format === "png" ? less === more : less < more, `${less} and ${more} bytes`);
    });
  }

  it("images.generate() answers the second identical call without a run", async () => {
    const fields = { seed: 77, ...QUICK };
    const first = await generateRaw(fields);
    assert.equal(first.response.headers.get("x-spectrum-cache"), "miss");
    const runs = await readMetric(service.workerUrl, "spectrum_runs_total");
    // The same picture by other words: defaults spelled out, another spelling of the number.
    const second = await generateRaw({
      ...fields,
      model: "models/emoji",
      size: "64x64",
      true_cfg_scale: 2.0,
    });
    assert.equal(second.response.headers.get("x-spectrum-cache"), "hit");
    assert.equal(second.data.data![0]!.b64_json, first.data.data![0]!.b64_json);
    assert.equal(picturesOf(second.data)[0]!.receipt.cache, "hit");
    assert.equal(await readMetric(service.workerUrl, "spectrum_runs_total"), runs);
  });

  for (const partial_images of [0, 1, 2, 3]) {
    it(`images.generate() streams ${partial_images} partial images`, async () => {
      const seen: OpenAI.ImageGenStreamEvent[] = [];
      const fields = { seed: 100 + partial_images, steps: 8, spectrum: { method: "none" }, partial_images };
      for await (const event of await stream(fields)) seen.push(event);
      assert.deepEqual(seen.map(({ type }) => type), [
        ...Array(partial_images).fill("image_generation.partial_image"),
        "image_generation.completed",
      ]);
      const partials = seen.filter((event) => event.type === "image_generation.partial_image");
      assert.deepEqual(
        partials.map((event) => event.partial_image_index),
        [0, 1, 2].slice(0, partial_images),
      );
      for (const event of seen) {
        const { width } = await sharp(bytesOf(event)).metadata();
        assert.deepEqual([width, event.size, event.background, event.output_format], [
          64,
          "64x64",
          "opaque",
          "png",
        ]);
      }
      const completed = seen.at(-1)!;
      assert.ok(completed.type === "image_generation.completed");
      assert.equal(completed.usage.output_tokens, 64);
    });
  }

  it("images.generate() previews the picture, not noise", async () => {
    const pictures: Uint8Array[] = [];
    for await (const event of await stream({ seed: 5, partial_images: 3, steps: 20 })) {
      pictures.push(await sharp(bytesOf(event)).removeAlpha().raw().toBuffer());
    }
    const final = pictures.pop()!;
    const errors = pictures.map((preview) =>
      preview.reduce((sum, value, i) => sum + (value - final[i]!) ** 2, 0)
    );
    assert.ok(errors[0]! > errors[1]! && errors[1]! > errors[2]!, `squared errors ${errors}`);
    // Noise of this picture's own spread would be as far away as two unrelated pictures: twice its variance.
    const mean = final.reduce((sum, value) => sum + value, 0) / final.length;
    const variance = final.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    assert.ok(errors[1]! < variance, `preview is ${errors[1]} off at a variance of ${variance}`);
  });

  it("images.generate() tells of the queue and of every step where asked to", async () => {
    const seen: { type: string; image_index?: number; kind?: string; step_index?: number }[] = [];
    for await (const event of await stream({ seed: 300, n: 2, steps: 12, progress: true })) seen.push(event);
    const types = new Set(seen.map(({ type }) => type));
    assert.deepEqual([...types].sort(), [
      "image_generation.completed",
      "image_generation.progress",
      "image_generation.queued",
    ]);
    for (const image of [0, 1]) {
      const steps = seen.filter(({ type, image_index }) =>
        type === "image_generation.progress" && image_index === image
      );
      assert.deepEqual(steps.map(({ step_index }) => step_index), Array.from({ length: 12 }, (_, i) => i));
      const { receipt } = seen.find(({ type, image_index }) =>
        type === "image_generation.completed" && image_index === image
      ) as unknown as Extended;
      assert.deepEqual(
        steps.flatMap(({ kind }, i) => kind === "forecast" ? [i] : []),
        receipt.forecast_steps,
      );
      assert.ok(receipt.forecast_steps.length > 0);
    }
  });

  it("images.generate() gives addresses that need no key and hold the same bytes", async () => {
    const [known] = picturesOf(await generate({ seed: 7, ...QUICK }));
    const pictures = picturesOf(await generate({ seed: 7, n: 2, response_format: "url", ...QUICK }));
    assert.ok(pictures.every(({ url, b64_json }) => url!.startsWith(service.url) && b64_json === undefined));
    const response = await fetch(pictures[0]!.url!);
    assert.deepEqual([response.status, response.headers.get("content-type")], [200, "image/png"]);
    assert.deepEqual(await response.bytes(), bytesOf(known!));
    // Without a seed, too: the picture is stored as its address says where it is.
    const [drawn] = picturesOf(await generate({ response_format: "url", ...QUICK }));
    assert.equal((await sharp(await (await fetch(drawn!.url!)).bytes()).metadata()).width, 64);
    const streamed: (string | undefined)[] = [];
    for await (const event of await stream({ seed: 7, response_format: "url", ...QUICK })) {
      streamed.push((event as { url?: string }).url);
    }
    assert.deepEqual(await (await fetch(streamed.at(-1)!)).bytes(), bytesOf(known!));
  });

  it("a client that leaves in mid-run frees the device at once", async () => {
    const passes = await readMetric(service.workerUrl, "spectrum_passes_total");
    let steps = 0;
    for await (
      const _ of await stream({ seed: 400, steps: 1000, spectrum: { method: "none" }, progress: true })
    ) {
      if (++steps === 5) break;
    }
    await untilIdle(service.workerUrl);
    const ran = await readMetric(service.workerUrl, "spectrum_passes_total") - passes;
    // A run has 1000 steps. Some more ran while the news travelled: client, edge, worker.
    assert.ok(ran < 1000, `${ran} passes`);
    assert.equal(
      await readMetric(service.workerUrl, `spectrum_runs_total{model="models/emoji",outcome="cancelled"}`),
      1,
    );
  });

  it("a plain call whose client leaves frees the device as well", async () => {
    const passes = await readMetric(service.workerUrl, "spectrum_passes_total");
    // All steps in full: 1,000 steps with few full passes take less time than the news.
    const spectrum = { method: "none" };
    const body = JSON.stringify({ prompt: "red heart", seed: 401, steps: 1000, n: 2, spectrum });
    // Deno 2.9 notices that a client has left only if its request came in one piece (docs/security.md).
    const { host, hostname, port } = new URL(service.url);
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const head = ["POST /v1/images/generations HTTP/1.1", `host: ${host}`, "content-type: application/json"];
    const request = [...head, `content-length: ${body.length}`, "", body].join("\r\n");
    await connection.write(new TextEncoder().encode(request));
    await until(async () => await readMetric(service.workerUrl, "spectrum_passes_total") > passes);
    connection.close();
    await untilIdle(service.workerUrl);
    const ran = await readMetric(service.workerUrl, "spectrum_passes_total") - passes;
    assert.ok(ran < 2000, `${ran} passes of 2000`);
  });

  const BAD: [string, Record<string, unknown>, ErrorClass, string, string][] = [
    ["an unknown model", { model: "no-such-model" }, OpenAI.NotFoundError, "model", "model_not_found"],
    ["a size the model has not", { size: "60x60" }, OpenAI.BadRequestError, "size", "invalid_value"],
    ["n = 0", { n: 0 }, OpenAI.BadRequestError, "n", "invalid_value"],
    ["a wrong type", { prompt: 5 }, OpenAI.BadRequestError, "prompt", "invalid_type"],
    ["an unknown field", { hotdog: true }, OpenAI.BadRequestError, "hotdog", "unknown_parameter"],
    [
      "m above the passes",
      { steps: 10, spectrum: { m: 40 } },
      OpenAI.BadRequestError,
      "spectrum.m",
      "invalid_value",
    ],
    [
      "w = 2 in a stream",
      { stream: true, spectrum: { w: 2 } },
      OpenAI.BadRequestError,
      "spectrum.w",
      "invalid_value",
    ],
  ];
  for (const [name, fields, errorClass, param, code] of BAD) {
    it(`images.generate() refuses ${name}`, async () => {
      await assert.rejects(generate(fields), (error) => {
        assert.ok(error instanceof errorClass, String(error));
        assert.deepEqual([error.param, error.code, error.type], [param, code, "invalid_request_error"]);
        assert.match(error.requestID!, /^req_/);
        return true;
      });
    });
  }

  it("models.list() and models.retrieve() know the embedded checkpoint", async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.equal(ids[0], "models/emoji");
    assert.ok(ids.includes("gpt-image-1"), "the aliases of `task start` are listed");
    const model = await client.models.retrieve("models/emoji") as OpenAI.Model & {
      defaults: { steps: number };
    };
    assert.deepEqual([model.object, model.defaults.steps], ["model", 50]);
    await assert.rejects(client.models.retrieve("nope"), OpenAI.NotFoundError);
  });
});
