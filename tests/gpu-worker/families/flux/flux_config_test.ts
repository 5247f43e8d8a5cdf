import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseFluxTransformerConfig } from "../../../../gpu-worker/families/flux/flux_config.ts";

describe("parseFluxTransformerConfig()", () => {
  it("has diffusers' defaults, which are FLUX.1-schnell's", () => {
    assert.deepEqual(parseFluxTransformerConfig({ _class_name: "FluxTransformer2DModel" }), {
      inChannels: 64,
      outChannels: 64,
      numLayers: 19,
      numSingleLayers: 38,
      numAttentionHeads: 24,
      attentionHeadDim: 128,
      innerDim: 3072,
      jointAttentionDim: 4096,
      pooledProjectionDim: 768,
      guidanceEmbeds: false,
      axesDimsRope: [16, 56, 56],
    });
  });
});
