import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { framesOf } from "../../../gpu-worker/http/video_length.ts";
import { toWire } from "../../../gpu-worker/request/wire_settings.ts";
import { completeRun, withImage } from "../../../gpu-worker/http/wire_request.ts";
import { encodeImage } from "../../../gpu-worker/media/encode_image.ts";
import { type RequestRules } from "../../../gpu-worker/request/request_rules.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { runRequestSchema } from "../../../protocol/wire/run_request.ts";

const RULES: RequestRules = {
  sizeMultiple: 8,
  maxSequenceLength: 16,
  guidance: "cfg",
  skippableLayers: 4,
  startImage: { strength: 0.5, partialStep: "run" },
};
const DEFAULTS = {
  steps: 4,
  width: 16,
  height: 16,
  guidanceScale: 7,
  trueCfgScale: 1,
  maxSequenceLength: 16,
  sampler: {},
};

const MODEL = { defaults: DEFAULTS, rules: RULES };

const parse = (fields: object) => runRequestSchema.parse({ model: "m", prompt: "p", seed: 1, ...fields });
const complete = (fields: object) => completeRun(parse(fields), MODEL);

describe("toWire()", () => {
  it("gives skip-layer guidance back in full, and nothing where there is none", async () => {
    const settings = toWire(await complete({ skip_layer_guidance: { layers: [1, 3], scale: 2 } }));
    assert.deepEqual(settings.skip_layer_guidance, { layers: [1, 3], scale: 2, start: 0.01, stop: 0.2 });
    assert.ok(!("skip_layer_guidance" in toWire(await complete({}))));
  });
});

describe("completeRun()", () => {
  it("names the field that is refused as the client spells it", async () => {
    const refused = (fields: object, param: string) =>
      assert.rejects(
        complete(fields),
        (error) => error instanceof ApiError && error.status === 400 && error.param === param,
      );
    await refused({ skip_layer_guidance: { layers: [4] } }, "skip_layer_guidance");
    await refused({ true_cfg_scale: 2 }, "true_cfg_scale");
    await refused({ negative_prompt: "n", guidance_scale: 1 }, "negative_prompt");
    await refused({ image: "****" }, "image");
    await refused({ image: btoa("no image") }, "image");
    await refused({ strength: 0.5 }, "strength");
  });

  it("spells every option of the message as the client does", async () => {
    await assert.rejects(complete({ negative_prompt: "n", guidance_scale: 1 }), {
      message: "Cannot generate as 'negative_prompt' takes 'guidance_scale' > 1: current value is 1",
    });
    await assert.rejects(complete({ spectrum: { passes: 3, window_size: 2 } }), {
      message: "Cannot generate as 'spectrum.passes' and 'spectrum.window_size' exclude each other: " +
        "current values are 3 and 2",
    });
  });

  it("takes a mistake of our own for no fault of the client", async () => {
    const broken = {
      ...MODEL,
      rules: {
        ...RULES,
        get sizeMultiple(): number {
          throw new TypeError("bug");
        },
      },
    };
    await assert.rejects(
      completeRun(parse({}), broken),
      (error) => error instanceof TypeError && !(error instanceof ApiError),
    );
  });

  it("takes the size of an image, cut to the model's multiple, or resizes it to the given one", async () => {
    const data = new Float32Array(3 * 29 * 18);
    const image = (await encodeImage({ width: 29, height: 18, data })).toBase64();
    const own = await complete({ image });
    const { startImage } = await withImage(own, { image });
    assert.deepEqual([own.width, own.height, startImage?.image.data.length], [24, 16, 3 * 24 * 16]);
    assert.equal(toWire(own).strength, 0.5);
    const given = await complete({ image, width: 32, height: 8, strength: 0.75 });
    assert.deepEqual([given.width, given.height, given.startImage?.firstStep], [32, 8, 1]);
  });

  it("leaves an image and its mask as large as the image, where a part is drawn and put back", async () => {
    const file = async (width: number, height: number) =>
      (await encodeImage({ width, height, data: new Float32Array(3 * width * height).fill(1) })).toBase64();
    const files = { image: await file(45, 30), mask: await file(90, 60) };
    const part = { ...files, mask_mode: "white", padding_mask_crop: 4, width: 16, height: 16 };
    const own = await complete(part);
    const { startImage } = await withImage(own, files);
    assert.deepEqual([own.width, own.height], [16, 16]);
    const { image, mask } = startImage!;
    const size = [45, 30];
    assert.deepEqual([image.width, image.height], size);
    assert.deepEqual([mask?.image.width, mask?.image.height], size);
    assert.equal(toWire(own).picture_size, "45x30");
  });

  it("takes an image's size in place of the image, which only a run carries", async () => {
    const image_size = { width: 29, height: 18 };
    const own = await completeRun({ ...parse({}), image_size }, MODEL);
    assert.deepEqual([own.width, own.height, own.startImage?.firstStep], [24, 16, 2]);
    const given = await completeRun({ ...parse({ width: 32, height: 8 }), image_size }, MODEL);
    assert.deepEqual([given.width, given.height], [32, 8]);
  });
});

describe("withImage()", () => {
  it("refuses damaged pixels as the client's fault", async () => {
    const noise = Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i * i));
    const bytes = await encodeImage({ width: 32, height: 32, data: noise });
    const image = bytes.subarray(0, bytes.length >> 1).toBase64();
    const completed = await complete({ image });
    assert.equal(completed.width, 32);
    await assert.rejects(
      withImage(completed, { image }),
      (error) => error instanceof ApiError && error.status === 400 && error.param === "image",
    );
  });
});

describe("framesOf()", () => {
  const rules = { video: { frameStep: 4, maxFrames: 81 } };

  it("is the nearest number of frames that the model makes", () => {
    const lengths = [[4, 8, 33], [5, 16, 81], [0, 8, 1], [2.2, 8, 17], [4.9, 12.5, 61]] as const;
    for (const [seconds, fps, frames] of lengths) assert.equal(framesOf(seconds, { fps, rules }), frames);
    const held = { video: { ...rules.video, minFrames: 5 } };
    assert.equal(framesOf(0, { fps: 8, rules: held }), 5);
  });

  it("refuses videos that are too long, and pictures", () => {
    const long = /'seconds' must be at most 5 at 16 frames a second with this model: current value is 8/;
    assert.throws(() => framesOf(8, { fps: 16, rules }), long);
    assert.throws(() => framesOf(4, { fps: 8, rules: {} }), /'seconds' takes a model that makes videos/);
  });
});
