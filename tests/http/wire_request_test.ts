import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { completeRun, toWire } from "../../gpu-worker/http/wire_request.ts";
import { completeRequest, type RequestRules } from "../../gpu-worker/pipelines/complete_request.ts";
import { ApiError } from "../../protocol/api_error.ts";
import { runRequestSchema } from "../../protocol/run_request.ts";

const RULES: RequestRules = {
  sizeMultiple: 8,
  maxSequenceLength: 16,
  guidance: "cfg",
  skippableLayers: 4,
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

const complete = (fields: object) => {
  const run = runRequestSchema.parse({ model: "m", prompt: "p", seed: 1, ...fields });
  const pipeline = {
    complete: (request: Parameters<typeof completeRequest>[0]) =>
      completeRequest(request, { defaults: DEFAULTS, rules: RULES }),
  };
  return completeRun(pipeline, run);
};

describe("toWire()", () => {
  it("gives skip-layer guidance back in full, and nothing where there is none", () => {
    const settings = toWire(complete({ skip_layer_guidance: { layers: [1, 3], scale: 2 } }));
    assert.deepEqual(settings.skip_layer_guidance, { layers: [1, 3], scale: 2, start: 0.01, stop: 0.2 });
    assert.ok(!("skip_layer_guidance" in toWire(complete({}))));
  });
});

describe("completeRun()", () => {
  it("names the field that is refused as the client spells it", () => {
    const refused = (fields: object, param: string) =>
      assert.throws(
        () => complete(fields),
        (error) => error instanceof ApiError && error.status === 400 && error.param === param,
      );
    refused({ skip_layer_guidance: { layers: [4] } }, "skip_layer_guidance");
    refused({ true_cfg_scale: 2 }, "true_cfg_scale");
    refused({ negative_prompt: "n", guidance_scale: 1 }, "negative_prompt");
  });
});
