import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { type RequestRules } from "../../../gpu-worker/request/request_rules.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";

const DEFAULTS = {
  steps: 4,
  width: 16,
  height: 16,
  guidanceScale: 5,
  trueCfgScale: 1,
  maxSequenceLength: 16,
  sampler: {},
};
const PICTURES: RequestRules = { sizeMultiple: 8, maxSequenceLength: 16, guidance: "cfg" };
const VIDEO: RequestRules = { ...PICTURES, video: { frameStep: 4, maxFrames: 17 } };

const complete = (fields: Partial<PartialRequest>, rules: RequestRules) =>
  completeRequest({ prompt: "p", seed: 1, ...fields }, {
    defaults: rules.video ? { ...DEFAULTS, numFrames: 9, fps: 16 } : DEFAULTS,
    rules,
  });

describe("completeRequest()", () => {
  it("gives a picture one frame without a rate, and a video the checkpoint's", () => {
    const picture = complete({}, PICTURES);
    assert.deepEqual([picture.numFrames, picture.fps], [1, 0]);
    const video = complete({}, VIDEO);
    assert.deepEqual([video.numFrames, video.fps], [9, 16]);
    const own = complete({ numFrames: 1, fps: 23.976 }, VIDEO);
    assert.deepEqual([own.numFrames, own.fps], [1, 23.976]);
  });

  it("refuses frames that the model cannot make", () => {
    assert.throws(() => complete({ numFrames: 5 }, PICTURES), /'numFrames' must be 1 with this model/);
    assert.throws(() => complete({ fps: 24 }, PICTURES), /'fps' must be 0 with this model/);
    assert.throws(() => complete({ numFrames: 6 }, VIDEO), /'numFrames' must be a multiple of 4 plus 1/);
    assert.throws(() => complete({ numFrames: 21 }, VIDEO), /'numFrames' must be a whole number in 1\.\.17/);
    assert.throws(() => complete({ numFrames: 2.5 }, VIDEO), /'numFrames' must be a whole number in 1\.\.17/);
    for (const fps of [0, -1, 121, NaN]) {
      assert.throws(() => complete({ fps }, VIDEO), /'fps' must be over 0 and at most 120/);
    }
  });
});
