// AUTOMATIC1111's API as its front ends call it, before a worker whose steps the test controls.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readPngText } from "../../../gpu-worker/media/metadata/png_text.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";
import { until } from "../../until.ts";
import { testPool } from "../runs/pool.ts";

const LOCAL = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;
const STYLED = "fake+loras/style.safetensors:0.7";

/** Fields that Open WebUI, SillyTavern and others send without being asked. */
const HABITS = {
  sampler_name: "DPM++ 2M Karras",
  width: 512,
  height: 512,
  restore_faces: false,
  enable_hr: false,
  clip_skip: 1,
  negative_prompt: "blurry",
  cfg_scale: 7,
};

function start(pipeline = new FakePipeline(), keys: string[] = []) {
  const others = [new FakePipeline({ id: STYLED }), new FakePipeline({ id: "moving", video: true })];
  const worker = startTestWorker([pipeline, ...others]);
  const app = createApp({
    workers: testPool(worker.url),
    results: new MemoryResultStore(),
    keys,
    keyStore: new MemoryKeyStore(),
    log: () => {},
  });
  const ask = async (path: string, body?: object, headers: Record<string, string> = {}) => {
    const prefix = path.startsWith("/v1/") ? "" : "/sdapi/v1";
    const response = await app.request(`http://localhost${prefix}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { ...body !== undefined && { "content-type": "application/json" }, ...headers },
      ...body !== undefined && { body: JSON.stringify(body) },
    }, LOCAL);
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  return { worker, ask };
}

describe("a1111Routes()", () => {
  it("txt2img says where a sampler was not followed, and refuses one that nobody knows", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const request = { prompt: "red heart", seed: 7, steps: 3, sampler_name: "DPM++ 2M Karras" };
    const { body } = await ask("/txt2img", request);
    const info = JSON.parse(body.info);
    assert.equal(info.sampler_name, request.sampler_name);
    assert.match(info.receipts[0].warnings.join(), /fake cannot be sampled with DPM\+\+ 2M/);
    const refused = await ask("/txt2img", { ...request, sampler_name: "Restart" });
    assert.equal(refused.status, 400);
    assert.match(JSON.stringify(refused.body), /must be one of Automatic, Euler, Euler a, DPM\+\+ 2M/);
    const { body: samplers } = await ask("/samplers");
    assert.ok(samplers.length > 5 && samplers[0].name === "Automatic");
  });

  it("txt2img answers front ends' requests in the model's own size, with the text they parse", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const request = { prompt: "red heart", seed: 7, steps: 3, batch_size: 2, ...HABITS };
    const { status, headers, body } = await ask("/txt2img", request);
    assert.deepEqual([status, headers.get("x-spectrum-cache"), body.images.length], [200, "miss", 2]);
    const info = JSON.parse(body.info);
    assert.deepEqual([info.all_seeds, info.width, info.height, info.cfg_scale], [[7, 8], 16, 16, 7]);
    assert.equal(info.infotexts[0], readPngText(Uint8Array.fromBase64(body.images[0]), "parameters"));
    assert.match(
      info.infotexts[1],
      /^red heart\nNegative prompt: blurry\nSteps: 3, CFG scale: 7, Seed: 8, Size: 16x16, /,
    );
    assert.match(info.receipts[0].warnings[0], /fake draws 16x16 instead of 512x512/);
    const again = await ask("/txt2img", request);
    assert.deepEqual([again.headers.get("x-spectrum-cache"), again.body.images], ["hit", body.images]);
  });

  it("txt2img says which fields and words would have changed the picture there", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const warningsOf = async (fields: object) => {
      const { status, body } = await ask("/txt2img", { prompt: "x", seed: 1, steps: 1, ...fields });
      assert.equal(status, 200);
      return JSON.parse(body.info).receipts[0].warnings ?? [];
    };
    // What front ends send without being asked.
    const idle = { enable_hr: false, tiling: null, styles: [], subseed_strength: 0, script_name: "None" };
    const overrides = { CLIP_stop_at_last_layers: 1, sd_vae: "Automatic" };
    assert.deepEqual(await warningsOf({ ...idle, override_settings: overrides }), []);
    const used = { enable_hr: true, tiling: true, styles: ["film"], subseed_strength: 0.5 };
    const scripts = { ADetailer: { args: [true] }, controlnet: { args: [] } };
    assert.deepEqual(
      await warningsOf({
        ...used,
        override_settings: { CLIP_stop_at_last_layers: 2 },
        alwayson_scripts: scripts,
      }),
      [
        "No effect here: enable_hr, tiling, styles, subseed_strength, CLIP_stop_at_last_layers, ADetailer.",
      ],
    );
    assert.match((await warningsOf({ prompt: "a [cat:dog:0.5] AND (b:1.2)" })).join(), /from:to:when.+AND/);
    assert.match((await warningsOf({ prompt: "a [cat|dog]" }))[0], /plain words/);
    assert.match(
      (await warningsOf({ prompt: "x <hypernet:y:1>" }))[0],
      /no such networks here: <hypernet:y:1>/,
    );
    assert.match((await warningsOf({ sampler_index: "DPM++ 2M Karras" }))[0], /cannot be sampled with DPM/);
  });

  it("png-info gives back the settings of a picture, as text and by name", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const request = { prompt: "red\nheart", negative_prompt: "blurry, a", seed: 7, steps: 3, cfg_scale: 2 };
    const drawn = (await ask("/txt2img", request)).body;
    const { status, body } = await ask("/png-info", { image: `data:image/png;base64,${drawn.images[0]}` });
    assert.deepEqual([status, body.info], [200, JSON.parse(drawn.info).infotexts[0]]);
    assert.match(body.items.spectrum, /"generator":"Spectrum Edge"/);
    assert.equal(body.items.parameters, undefined);
    const { Prompt, "Negative prompt": negative, Steps, Seed, "CFG scale": scale } = body.parameters;
    assert.deepEqual([Prompt, negative, Steps, Seed, scale], ["red\nheart", "blurry, a", "3", "7", "2"]);
    assert.deepEqual([body.parameters["Size-1"], body.parameters["Size-2"]], ["16", "16"]);
  });

  it("png-info reads this server's JPEGs and WebPs too, and finds nothing in other files", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    for (const output_format of ["jpeg", "webp"]) {
      const request = { prompt: "a cat", seed: 5, steps: 4, output_format, response_format: "b64_json" };
      const [{ b64_json: image }] = (await ask("/v1/images/generations", request)).body.data;
      const { body } = await ask("/png-info", { image });
      assert.match(body.info, /^a cat\nSteps: 4, .*Seed: 5, Size: 16x16/, output_format);
      assert.equal(body.parameters.Seed, "5");
    }
    const none = { info: "", items: {}, parameters: {} };
    // A record that others wrote is not believed.
    const forged = new TextEncoder().encode('{"generator":"Spectrum Edge","settings":{}}').toBase64();
    for (const image of [forged, btoa("GIF89a"), ""]) {
      assert.deepEqual((await ask("/png-info", { image })).body, none, image);
    }
    // A pattern that looks at a character more than once takes minutes over this.
    const hostile = `{"generator":"Spectrum Edge"${'\\"'.repeat(1e6)}\\`;
    assert.deepEqual((await ask("/png-info", { image: btoa(hostile) })).body, none);
    const wrong = await ask("/png-info", { image: "*" });
    assert.deepEqual([wrong.status, wrong.body.error.param], [400, "image"]);
  });

  it("refuses what it cannot do in A1111's form of errors, with what to do instead", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const image = btoa("GIF89a");
    for (
      const [path, instead] of [
        ["/interrogate", /no model here describes a picture.*png-info/],
        ["/extra-single-image", /img2img/],
        ["/extra-batch-images", /img2img/],
        ["/skip", /interrupt/],
        ["/create/embedding", /trains none/],
        ["/server-kill", /operator/],
      ] as const
    ) {
      const { status, body } = await ask(path, { image });
      assert.equal(status, 404, path);
      assert.match(body.detail, instead);
      assert.deepEqual([body.error.message, body.error.code], [body.detail, "not_supported"]);
      assert.deepEqual([body.body, body.errors], ["", ""]);
    }
    const wrong = await ask("/txt2img", { prompt: 5 });
    assert.deepEqual([wrong.status, wrong.body.detail], [400, wrong.body.error.message]);
  });

  it("answers the questions that front ends ask as they start", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    for (const path of ["/latent-upscale-modes", "/sd-modules", "/script-info", "/upscalers/"]) {
      assert.deepEqual((await ask(path)).body, [], path);
    }
    assert.deepEqual((await ask("/scripts")).body.txt2img, ["controlnet"]);
    assert.equal((await ask("/refresh-vae", {})).status, 200);
    assert.equal((await ask("/unload-checkpoint", {})).status, 200);
    assert.equal((await ask("/cmd-flags")).body.api, true);
    assert.deepEqual((await ask("/memory")).body.cuda, { error: "unavailable" });
  });

  it("a seed of -1 is drawn; a negative prompt without guidance has no effect and no error", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const draw = async () =>
      JSON.parse(
        (await ask("/txt2img", { prompt: "", seed: -1, negative_prompt: "x", cfg_scale: 1 })).body.info,
      );
    const [first, second] = [await draw(), await draw()];
    assert.notEqual(first.seed, second.seed);
    assert.match(first.receipts[0].warnings[0], /negative prompt has no effect/);
  });

  it("img2img begins from the picture it gets", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const { body: { images } } = await ask("/txt2img", { prompt: "x", seed: 1, width: 24, height: 16 });
    const init_images = [`data:image/png;base64,${images[0]}`];
    const { status, body } = await ask("/img2img", {
      prompt: "y",
      seed: 2,
      init_images,
      denoising_strength: 0.5,
    });
    const info = JSON.parse(body.info);
    assert.deepEqual([status, info.denoising_strength, info.width, info.height], [200, 0.5, 24, 16]);
    const masked = await ask("/img2img", {
      prompt: "y",
      init_images,
      mask: images[0],
      mask_blur: 4,
      inpainting_mask_invert: 1,
      inpaint_full_res: true,
      inpaint_full_res_padding: 8,
    });
    const { receipts: [receipt] } = JSON.parse(masked.body.info);
    const { mask_mode, mask_blur, padding_mask_crop } = receipt.options;
    assert.deepEqual([mask_mode, mask_blur, padding_mask_crop], ["black", 4, 8]);
    assert.equal(masked.body.parameters.mask, undefined);
    for (const wrong of [{}, { init_images: ["no base64"] }, { init_images, mask: "no base64" }]) {
      assert.equal((await ask("/img2img", { prompt: "y", ...wrong })).status, 400);
    }
  });

  it("a checkpoint is chosen by options or per request, a LoRA by its tag", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const models = (await ask("/sd-models")).body;
    assert.deepEqual(models.map(({ filename }: { filename: string }) => filename), ["fake", STYLED]);
    assert.deepEqual((await ask("/loras")).body.map(({ name }: { name: string }) => name), ["style"]);
    const nameOf = async (fields: object) =>
      JSON.parse((await ask("/txt2img", { prompt: "x", steps: 1, ...fields })).body.info).sd_model_name;
    assert.equal(await nameOf({}), "fake");
    assert.equal(await nameOf({ prompt: "x <lora:style:0.7>" }), STYLED);
    assert.equal(await nameOf({ prompt: "x <lyco:style:0.7>" }), STYLED);
    assert.equal(await nameOf({ override_settings: { sd_model_checkpoint: models[1].title } }), STYLED);
    assert.equal((await ask("/options", { sd_model_checkpoint: models[1].title })).status, 200);
    assert.equal((await ask("/options")).body.sd_model_checkpoint, models[1].title);
    assert.equal(await nameOf({}), STYLED);
    const refused = await ask("/txt2img", { prompt: "x <lora:style:1>" });
    assert.deepEqual([refused.status, refused.body.error.code], [400, "lora_not_found"]);
    assert.match(refused.body.error.message, /There is <lora:style:0\.7>$/);
    assert.equal((await ask("/options", { sd_model_checkpoint: "none" })).status, 404);
    assert.equal((await ask("/options", { sd_model_checkpoint: {} })).status, 400);
  });

  it("progress tells how far a generation is; interrupt ends it with the finished pictures", async () => {
    const reached = Promise.withResolvers<void>();
    const pipeline = new FakePipeline({
      beforeStep: (index) => {
        if (pipeline.request!.seed !== 2 || index < 2) return;
        reached.resolve();
        return new Promise(() => {});
      },
    });
    const { worker, ask } = start(pipeline);
    await using _worker = worker;
    assert.equal((await ask("/progress")).body.progress, 0);
    const drawing = ask("/txt2img", { prompt: "x", seed: 1, n_iter: 2, steps: 4 });
    await reached.promise;
    const progress = await until(async () => {
      const { body } = await ask("/progress");
      const { sampling_step, job_no } = body.state;
      return sampling_step === 6 && job_no === 1 && typeof body.current_image === "string" && body;
    });
    assert.deepEqual([progress.progress, progress.state.job_count, progress.state.job_no], [6 / 8, 2, 1]);
    assert.equal(typeof progress.current_image, "string");
    await ask("/interrupt", {});
    const { status, body } = await drawing;
    assert.deepEqual([status, body.images.length, JSON.parse(body.info).all_seeds], [200, 1, [1]]);
    await until(() => !worker.queue.busy);
  });

  it("a key comes as a bearer's or as a password", async () => {
    const { worker, ask } = start(undefined, ["secret"]);
    await using _worker = worker;
    const headers = (authorization: string) => ({ authorization });
    assert.equal((await ask("/samplers")).status, 401);
    assert.equal((await ask("/samplers", undefined, headers("Bearer secret"))).status, 200);
    assert.equal((await ask("/samplers", undefined, headers(`Basic ${btoa("user:secret")}`))).status, 200);
    assert.equal((await ask("/samplers", undefined, headers(`Basic ${btoa("user:wrong")}`))).status, 401);
    assert.equal((await ask("/samplers", undefined, headers("Basic ***"))).status, 401);
  });
});
