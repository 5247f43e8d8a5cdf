// POST /v1/images/edits of the edge in this process, before a worker with a pipeline that only
// notes what it is asked for.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { ImageError } from "../../../gpu-worker/media/image_error.ts";
import { grey, hole, LOCAL, LOOKING, startEdits } from "./start_edits.ts";
import { until } from "../../until.ts";

describe("POST /v1/images/edits", () => {
  it("hands the image, its strength and all other fields to the pipeline", async () => {
    const { pipeline, worker, edit } = startEdits();
    await using _worker = worker;
    const answer = await edit({
      image: await grey(0.5, 33, 20),
      prompt: "x",
      strength: "0.5",
      steps: "6",
      seed: "9",
      n: "2",
      spectrum: '{"method": "none"}',
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    const { data, size } = await answer.json();
    assert.equal(data.length, 2);
    assert.equal(size, "32x16");
    assert.deepEqual([data[0].receipt.options.strength, data[0].receipt.full_steps], [0.5, [0, 1, 2]]);
    const { startImage, sampler, width, height } = pipeline.request!;
    assert.deepEqual([startImage!.firstStep, sampler.method, width, height], [3, "none", 32, 16]);
    assert.ok(Math.abs(startImage!.image.data[0]! - 0.5) < 1 / 255);
  });

  it("sends an image to the worker once, with the first run that starts from it", async () => {
    const { pipeline, worker, edit, carriers } = startEdits();
    await using _worker = worker;
    const calls = [[0.5, "1", ["/runs"]], [0.5, "2", []], [0.6, "3", ["/runs"]]] as const;
    for (const [level, n, runs] of calls) {
      carriers.length = 0;
      const answer = await edit({ image: await grey(level), prompt: "x", n });
      assert.equal(answer.status, 200, await answer.clone().text());
      await answer.body?.cancel();
      assert.deepEqual(carriers, runs);
      assert.ok(Math.abs(pipeline.request!.startImage!.image.data[0]! - level) < 1 / 255);
    }
  });

  it("finds a picture in the store again by image and strength", async () => {
    const { worker, edit } = startEdits();
    await using _worker = worker;
    const image = await grey(0.5);
    const cacheOf = async (change: Record<string, string | Uint8Array<ArrayBuffer>>) => {
      const answer = await edit({ "image[]": image, prompt: "x", seed: "1", ...change });
      await answer.body?.cancel();
      return answer.headers.get("x-spectrum-cache");
    };
    assert.equal(await cacheOf({}), "miss");
    assert.equal(await cacheOf({}), "hit");
    assert.equal(await cacheOf({ strength: "0.5" }), "hit");
    assert.equal(await cacheOf({ strength: "0.75" }), "miss");
    assert.equal(await cacheOf({ "image[]": await grey(0.6) }), "miss");
  });

  it("hands the mask to the pipeline, and finds a picture again by it", async () => {
    const { pipeline, worker, edit } = startEdits();
    await using _worker = worker;
    const image = await grey(0.5);
    const ask = async (change: Record<string, string | Uint8Array<ArrayBuffer>>) => {
      const answer = await edit({ image, mask: await hole(), prompt: "x", seed: "1", ...change });
      assert.equal(answer.status, 200, await answer.clone().text());
      const { data } = await answer.json();
      return { cache: answer.headers.get("x-spectrum-cache"), receipt: data[0].receipt };
    };
    const { cache, receipt } = await ask({});
    assert.equal(cache, "miss");
    assert.equal(receipt.options.mask_mode, "alpha");
    const { mask } = pipeline.request!.startImage!;
    const { data } = mask!.image;
    assert.deepEqual([data![0], data![15], mask!.mode], [255, 0, "alpha"]);
    assert.equal((await ask({})).cache, "hit");
    assert.equal((await ask({ mask: await hole(16, 16, 4) })).cache, "miss");
    assert.equal((await ask({ mask_mode: "white" })).cache, "miss");
    assert.equal((await ask({ padding_mask_crop: "4" })).cache, "miss");
    assert.equal((await ask({ padding_mask_crop: "4" })).receipt.options.padding_mask_crop, 4);
    assert.equal((await ask({ mask_blur: "2" })).receipt.options.mask_blur, 2);
    // Half the size, and the same proportions.
    await ask({ mask: await hole(8, 8) });
    assert.deepEqual(pipeline.request!.startImage!.mask!.image.data!.length, 256);
  });

  it("streams the events that OpenAI names for edits", async () => {
    const { worker, edit } = startEdits();
    await using _worker = worker;
    const form = { prompt: "x", seed: "1", stream: "true", partial_images: "1", strength: "1" };
    const answer = await edit({ image: await grey(0), ...form });
    assert.equal(answer.headers.get("content-type"), "text/event-stream");
    const names = [...(await answer.text()).matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
    assert.deepEqual(names, ["image_edit.partial_image", "image_edit.completed"]);
  });

  it("refuses unsupported fields by name", async () => {
    const { worker, edit } = startEdits();
    await using _worker = worker;
    const image = await grey(0);
    const REFUSED: [fields: Parameters<typeof edit>[0], status: number, param: string][] = [
      // A mask without an alpha channel.
      [{ image, prompt: "x", mask: image }, 400, "mask"],
      [{ image, prompt: "x", mask: await hole(8, 16) }, 400, "mask"],
      [{ prompt: "x", mask: await hole() }, 400, "image"],
      [{ image, prompt: "x", mask: await hole(), mask_mode: "grey" }, 400, "mask_mode"],
      [{ image, prompt: "x", mask_mode: "white" }, 400, "mask_mode"],
      [{ image, prompt: "x", mask_blur: "3" }, 400, "mask_blur"],
      [{ image, prompt: "x", mask: await hole(), mask_blur: "65" }, 400, "mask_blur"],
      [{ image, prompt: "x", padding_mask_crop: "3" }, 400, "padding_mask_crop"],
      [{ image, prompt: "x", mask: new Uint8Array(4 * 2 ** 20 + 1) }, 413, "mask"],
      [{ prompt: "x" }, 400, "image"],
      [{ image: "x", prompt: "x" }, 400, "image"],
      [{ image: new TextEncoder().encode("no image"), prompt: "x" }, 400, "image"],
      [{ image, "image[]": image, prompt: "x" }, 400, "image"],
      [{ image: new Uint8Array(8 * 2 ** 20 + 1), prompt: "x" }, 413, "image"],
      [{ image }, 400, "prompt"],
      [{ image: [image, image], prompt: "x" }, 400, "image"],
      [{ image: Array(11).fill(image), prompt: "x" }, 400, "image"],
      [{ image, prompt: "x", strength: "2" }, 400, "strength"],
      [{ image, prompt: "x", strength: "0" }, 400, "strength"],
      [{ image, prompt: "x", n: "many" }, 400, "n"],
      [{ image, prompt: "x", spectrum: "none" }, 400, "spectrum"],
      [{ image, prompt: "x", what: "1" }, 400, "what"],
    ];
    for (const [fields, status, param] of REFUSED) {
      const answer = await edit(fields);
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.param], [status, param], error.message);
    }
  });

  it("hands several images to a model that looks at them, and sends them once", async () => {
    const { pipeline, worker, edit, carriers } = startEdits(LOOKING);
    await using _worker = worker;
    const images = await Promise.all([grey(0.2, 24, 16), grey(0.4, 20, 24)]);
    const answer = await edit({ "image[]": images, prompt: "x", seed: "1", n: "2" });
    assert.equal(answer.status, 200, await answer.clone().text());
    const { data, size } = await answer.json();
    // The first image decides the picture's size.
    assert.equal(size, "48x16");
    assert.deepEqual([data.length, data[0].receipt.options.references], [2, 2]);
    assert.deepEqual(carriers, ["/runs"]);
    const { references, startImage } = pipeline.request!;
    assert.equal(startImage, undefined);
    assert.deepEqual(
      references!.map(({ width, height, file }) => [width, height, file!.bytes.toBase64()]),
      [[24, 16, images[0]!.toBase64()], [20, 24, images[1]!.toBase64()]],
    );
    const cacheOf = async (image: Uint8Array<ArrayBuffer>[]) => {
      const answer = await edit({ image, prompt: "x", seed: "1", n: "2" });
      assert.equal(answer.status, 200, await answer.clone().text());
      await answer.body?.cancel();
      return answer.headers.get("x-spectrum-cache");
    };
    assert.equal(await cacheOf(images), "hit");
    assert.equal(await cacheOf(images.toReversed()), "miss");
    assert.equal(await cacheOf(images.slice(0, 1)), "miss");
    assert.deepEqual(carriers, ["/runs", "/runs", "/runs"]);
  });

  it("refuses with a model that looks at images what it cannot do", async () => {
    const { worker, edit } = startEdits(LOOKING);
    await using _worker = worker;
    const image = await grey(0);
    const REFUSED: [fields: Parameters<typeof edit>[0], param: string, message: RegExp][] = [
      [{ image, strength: "0.5" }, "strength", /must be absent with this model, which looks at its images/],
      [{ image, mask: await hole() }, "mask", /must be absent with this model/],
      [{ image: Array(4).fill(image) }, "image", /must be at most 3 with this model: there are 4/],
      [{ image: [image, new TextEncoder().encode("x")] }, "image", /is no image/],
    ];
    for (const [fields, param, message] of REFUSED) {
      const answer = await edit({ prompt: "x", ...fields });
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.param], [400, param], error.message);
      assert.match(error.message, message);
    }
  });

  it("refuses an image that turns out to be damaged in the middle of the run", async () => {
    const beforeStep = () => {
      throw new ImageError("it is no image, or a damaged one");
    };
    const { worker, edit } = startEdits({ ...LOOKING, beforeStep });
    await using _worker = worker;
    const answer = await edit({ image: await grey(0), prompt: "x" });
    const { error } = await answer.json();
    assert.deepEqual([answer.status, error.param, error.code], [400, "image", "invalid_value"]);
    assert.match(error.message, /damaged/);
  });

  it("makes a job of an edit in a mask", async () => {
    const { pipeline, worker, edit, ask } = startEdits();
    await using _worker = worker;
    const fields = { image: await grey(0.5), mask: await hole(), prompt: "x", seed: "1", mask_blur: "2" };
    const accepted = await edit({ ...fields, background: "true" });
    assert.equal(accepted.status, 202, await accepted.clone().text());
    const { id } = await accepted.json();
    const job = await until(async () => {
      const { status, result, error } = await (await ask(`/v1/jobs/${id}`)).json();
      assert.equal(error, null);
      return status === "completed" && result;
    });
    const { mask } = pipeline.request!.startImage!;
    assert.deepEqual([mask!.image.data![0], mask!.image.data![15], mask!.blur], [255, 0, 2]);
    // The job's record holds no file.
    const { data } = await (await edit(fields)).json();
    assert.deepEqual([data[0].b64_json, data[0].receipt.cache], [job.data[0].b64_json, "hit"]);
  });

  it("takes lists of images from OpenAI's client", async () => {
    const { pipeline, worker, app } = startEdits(LOOKING);
    await using _worker = worker;
    const client = new OpenAI({
      apiKey: "unused",
      baseURL: "http://localhost/v1",
      maxRetries: 0,
      fetch: async (input, init) => await app.request(String(input), init as RequestInit, LOCAL),
    });
    const files = await Promise.all([grey(0.2, 24, 16), grey(0.4, 20, 24)]);
    const image = await Promise.all(files.map((file) => OpenAI.toFile(file, "a.png", { type: "image/png" })));
    const { data, size } = await client.images.edit({ image, prompt: "x" });
    assert.deepEqual([data!.length, String(size)], [1, "48x16"]);
    assert.deepEqual(pipeline.request!.references!.map(({ height }) => height), [16, 24]);
    const streamed = await client.images.edit({ image: image[0]!, prompt: "x", stream: true });
    const types: string[] = [];
    for await (const { type } of streamed) types.push(type);
    assert.deepEqual(types, ["image_edit.completed"]);
    await assert.rejects(
      client.images.edit({ image, mask: image[0]!, prompt: "x" }),
      (error) => error instanceof OpenAI.BadRequestError && error.param === "mask",
    );
  });

  it("names the models that take several images", async () => {
    const { worker, edit } = startEdits();
    await using _worker = worker;
    const image = await grey(0);
    const { error } = await (await edit({ prompt: "x", "image[]": [image, image] })).json();
    assert.equal(
      error.message,
      "'image' must be one image with the model 'fake': there are 2. Try looking",
    );
  });

  it("refuses bodies that are no form, or too large", async () => {
    const { worker, send } = startEdits();
    await using _worker = worker;
    const json = await send(JSON.stringify({ prompt: "x" }));
    assert.equal(json.status, 415);
    const form = new FormData();
    form.append("image", new File([new Uint8Array(9 * 2 ** 20)], "large.png"));
    assert.equal((await send(form)).status, 413);
  });
});
