import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { samplerToWire } from "../../../protocol/wire/sampler_fields.ts";
import { SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";
import { resultKey, type ResultKeyParts } from "../../../routes/runs/result_key.ts";

const PARTS: ResultKeyParts = {
  model: { digest: "d", sampler_version: "1" },
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
};

describe("resultKey()", () => {
  it("resultKey() is a SHA-256, whatever the order of fields", async () => {
    const { prompt, ...rest } = PARTS.settings;
    const reordered = { ...PARTS, settings: { ...rest, prompt } };
    assert.match(await resultKey(PARTS), /^[0-9a-f]{64}$/);
    assert.equal(await resultKey(reordered), await resultKey(PARTS));
  });

  it("resultKey() differs by everything that decides the bytes", async () => {
    const { settings, model } = PARTS;
    const changes: Partial<ResultKeyParts>[] = [
      { model: { ...model, digest: "e" } },
      { model: { ...model, sampler_version: "2" } },
      { settings: { ...settings, prompt: "Red heart" } },
      { settings: { ...settings, seed: 2 } },
      { settings: { ...settings, spectrum: { ...settings.spectrum, w: 0.6 } } },
      { settings: { ...settings, spectrum: { ...settings.spectrum, error_budget: 0.1 } } },
      { settings: { ...settings, spectrum: { ...settings.spectrum, full_steps: [0, 9] } } },
      { output_format: "webp" },
    ];
    const keys = await Promise.all([{}, ...changes].map((change) => resultKey({ ...PARTS, ...change })));
    assert.equal(new Set(keys).size, keys.length);
  });

  it("resultKey() tells seeds apart that a double would not", async () => {
    const at = (seed: number) => resultKey({ ...PARTS, settings: { ...PARTS.settings, seed } });
    assert.notEqual(await at(Number.MAX_SAFE_INTEGER), await at(Number.MAX_SAFE_INTEGER - 1));
  });

  it("resultKey() ignores the compression of PNG, which has none to choose", async () => {
    assert.equal(await resultKey({ ...PARTS, output_compression: 5 }), await resultKey(PARTS));
    const jpeg = { ...PARTS, output_format: "jpeg" };
    assert.notEqual(await resultKey({ ...jpeg, output_compression: 5 }), await resultKey(jpeg));
  });
});
