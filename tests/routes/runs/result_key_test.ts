import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type CompleteSettings, completeSettingsSchema } from "../../../protocol/wire/run_request.ts";
import { samplerToWire, spectrumSettingsSchema } from "../../../protocol/wire/sampler_fields.ts";
import { SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";
import { resultKey, type ResultKeyParts } from "../../../routes/runs/result_key.ts";

const PARTS: ResultKeyParts = {
  model: { id: "m", digest: "d", sampler_version: "1" },
  settings: {
    prompt: "red heart",
    negative_prompt: "",
    seed: 1,
    steps: 50,
    width: 64,
    height: 64,
    guidance_scale: 0,
    true_cfg_scale: 2,
    guidance_rescale: 0,
    max_sequence_length: 12,
    spectrum: samplerToWire(SAMPLER_DEFAULTS.spectrum),
  },
  output_format: "png",
  output_compression: 100,
  metadata: true,
};

describe("resultKey()", () => {
  it("resultKey() is a SHA-256, whatever the order of fields", async () => {
    const { prompt, ...rest } = PARTS.settings;
    const reordered = { ...PARTS, settings: { ...rest, prompt } };
    assert.match(await resultKey(PARTS), /^[0-9a-f]{64}$/);
    assert.equal(await resultKey(reordered), await resultKey(PARTS));
  });

  it("resultKey() differs by everything that decides the bytes", () => {
    const { settings, model } = PARTS;
    // One value per field of the settings: a field that is new to the schema must be entered here.
    const others: { [Field in keyof Required<CompleteSettings>]: Required<CompleteSettings>[Field] } = {
      prompt: "Red heart",
      negative_prompt: "blue",
      seed: 2,
      steps: 51,
      width: 72,
      height: 72,
      num_frames: 5,
      fps: 8,
      guidance_scale: 1,
      guidance_scale_2: 3,
      true_cfg_scale: 3,
      guidance_rescale: 0.5,
      cfg_normalization: 1.5,
      cfg_truncation: 0.5,
      skip_layer_guidance: { layers: [1], scale: 2, start: 0, stop: 1 },
      strength: 0.5,
      mask_mode: "white",
      mask_blur: 2,
      padding_mask_crop: 4,
      picture_size: "44x30",
      mask_sha256: "0",
      image_sha256: "0",
      last_frame_sha256: "0",
      control_image_sha256: "0",
      controlnet: "canny",
      control_scale: 0.5,
      control_start: 0.1,
      control_end: 0.9,
      control_mode: 1,
      references: 1,
      references_sha256: ["0"],
      max_sequence_length: 13,
      scheduler: "DDIMScheduler",
      scheduler_options: { steps_offset: 1 },
      prompt_weights: true,
      long_prompts: true,
      wildcards: true,
      spectrum: { ...settings.spectrum, method: "reuse" },
    };
    const { spectrum } = settings;
    const options = Object.keys(spectrumSettingsSchema.shape).map((name) => ({
      ...spectrum,
      [name]: { method: "reuse", full_steps: [0, 9] }[name] ?? Number(spectrum[name as "w"]) + 1,
    }));
    assert.deepEqual(Object.keys(others).sort(), Object.keys(completeSettingsSchema.shape).sort());
    const changes: Partial<ResultKeyParts>[] = [
      { model: { ...model, digest: "e" } },
      { model: { ...model, sampler_version: "2" } },
      ...Object.entries(others).map(([name, value]) => ({ settings: { ...settings, [name]: value } })),
      ...options.slice(1).map((spectrum) => ({ settings: { ...settings, spectrum } })),
      { output_format: "webp" },
      { output_format: "webp", output_compression: 50 },
      { model: { ...model, id: "n" } },
      { metadata: false },
    ];
    const keys = [{}, ...changes].map((change) => resultKey({ ...PARTS, ...change }));
    assert.equal(new Set(keys).size, keys.length);
  });

  it("resultKey() tells seeds apart that a double would not", async () => {
    const at = (seed: number) => resultKey({ ...PARTS, settings: { ...PARTS.settings, seed } });
    assert.notEqual(await at(Number.MAX_SAFE_INTEGER), await at(Number.MAX_SAFE_INTEGER - 1));
  });

  it("resultKey() ignores the model's name where the file does not say it", () => {
    const plain = { ...PARTS, metadata: false };
    assert.equal(resultKey({ ...plain, model: { ...PARTS.model, id: "n" } }), resultKey(plain));
  });

  it("resultKey() ignores the compression of PNG, which has none to choose", async () => {
    assert.equal(await resultKey({ ...PARTS, output_compression: 5 }), await resultKey(PARTS));
    const jpeg = { ...PARTS, output_format: "jpeg" };
    assert.notEqual(await resultKey({ ...jpeg, output_compression: 5 }), await resultKey(jpeg));
  });
});
