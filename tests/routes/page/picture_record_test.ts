import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { encodeImage } from "../../../gpu-worker/media/encode_image.ts";
import { embedMetadata } from "../../../gpu-worker/media/metadata/embed_metadata.ts";
import { readRequest } from "../../../routes/page/browser/picture_record.js";
import { SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";
import { samplerToWire } from "../../../protocol/wire/sampler_fields.ts";

const RECORD = {
  generator: "Spectrum Edge",
  model: "models/emoji",
  model_digest: "00",
  sampler_version: "2",
  settings: {
    prompt: 'a "red} heart\\", לב',
    seed: 7,
    steps: 50,
    width: 64,
    height: 48,
    guidance_scale: 0,
    true_cfg_scale: 2,
    spectrum: samplerToWire({ ...SAMPLER_DEFAULTS.spectrum, passes: 9, w: 0.7, windowSize: 5 }),
  },
};

describe("readRequest()", () => {
  it("reads the record that the worker writes into files", async () => {
    const [width, height] = [64, 48];
    const picture = { width, height, data: new Float32Array(3 * width * height) };
    for (const format of ["png", "jpeg", "webp"] as const) {
      const metadata = { parameters: "a", json: JSON.stringify(RECORD) };
      const plain = Uint8Array.from(await encodeImage(picture, { format }));
      const file = embedMetadata(plain, { format, size: { width, height }, metadata });
      assert.deepEqual(await readRequest(new Blob([file])), {
        prompt: 'a "red} heart\\", לב',
        model: "models/emoji",
        seed: 7,
        steps: 50,
        size: "64x48",
        guidance_scale: 0,
        true_cfg_scale: 2,
        output_format: "png",
        spectrum: { method: "spectrum", passes: 9, w: 0.7 },
      }, format);
      assert.equal(await readRequest(new Blob([plain])), undefined);
    }
  });

  it("takes a damaged record for none", async () => {
    for (const text of ['{"generator":"Spectrum Edge","model":', '{"generator":"Spectrum Edge"}']) {
      assert.equal(await readRequest(new Blob([text])), undefined);
    }
  });
});
