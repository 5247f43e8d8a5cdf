// The images that a model looks at: how many, of which sizes, and what does not go together with them.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { flux2References } from "../../../gpu-worker/families/flux2/flux2_references.ts";
import { kontextReferences, trainedSize } from "../../../gpu-worker/families/flux/kontext_references.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { type ReferenceRules, requireReferences } from "../../../gpu-worker/request/references.ts";

const size = (width: number, height: number) => ({ width, height });

function describeModel(references?: ReferenceRules) {
  return {
    defaults: {
      steps: 28,
      width: 1024,
      height: 1024,
      guidanceScale: 1,
      trueCfgScale: 1,
      maxSequenceLength: 1,
      sampler: {},
    },
    rules: {
      sizeMultiple: 16,
      maxSequenceLength: 1,
      guidance: "cfg" as const,
      ...references ? { references } : { startImage: { strength: 0.6, partialStep: "run" as const } },
    },
  };
}

const REQUEST = { prompt: "x", seed: 1 };

describe("completeRequest() with references", () => {
  const kontext = describeModel(kontextReferences(16));
  const klein = describeModel(flux2References(16));

  it("takes the picture's size from the first, unless the request names one", () => {
    const references = [size(1500, 1000), size(64, 64)];
    const sizeOf = (model: typeof klein, change: object) => {
      const { width, height } = completeRequest({ ...REQUEST, references, ...change }, model);
      return [width, height];
    };
    // Flux2KleinPipeline: less than a megapixel, in whole tokens.
    assert.deepEqual(sizeOf(klein, {}), [1248, 832]);
    assert.deepEqual(sizeOf(klein, { references: [size(100, 70)] }), [96, 64]);
    // FluxKontextPipeline at the image's size: about a megapixel.
    assert.deepEqual(sizeOf(kontext, { references: [size(30, 20)] }), [1248, 832]);
    assert.deepEqual(sizeOf(klein, { width: 512, height: 256 }), [512, 256]);
    assert.deepEqual(sizeOf(klein, { references: undefined }), [1024, 1024]);
  });

  it("has no forecasts unless the request asks for them", () => {
    const methodOf = (change: object) => completeRequest({ ...REQUEST, ...change }, klein).sampler.method;
    const references = [size(64, 64)];
    assert.equal(methodOf({}), "spectrum");
    assert.equal(methodOf({ references }), "none");
    assert.equal(methodOf({ references, sampler: { method: "spectrum" } }), "spectrum");
    assert.equal(methodOf({ references, sampler: { windowSize: 3 } }), "spectrum");
  });

  const REFUSED: [model: ReturnType<typeof describeModel>, change: object, message: RegExp][] = [
    [kontext, { references: [size(64, 64), size(64, 64)] }, /'image' must be at most 1 .*: there are 2/],
    [kontext, { references: [size(1, 1)] }, /'image' must have at least 16x16 pixels .*: it is 1x1/],
    [klein, { references: Array(11).fill(size(64, 64)) }, /'image' must be at most 10 .*: there are 11/],
    [klein, { references: [size(64, 64), size(63, 64)] }, /64x64 pixels .*: image 2 of 2: it is 63x64/],
    [klein, { references: [size(1000, 100)] }, /at most 8 times the short one .*: it is 1000x100/],
    [klein, { references: [size(64, 64)], strength: 0.5 }, /'strength' must be absent .*: .* is 0\.5/],
    [klein, { references: [size(64, 64)], mask: size(64, 64) }, /'mask' must be absent with this model/],
    [klein, { image: size(64, 64) }, /'image' must be sent as a reference/],
    [
      describeModel(),
      { references: [size(64, 64), size(64, 64)] },
      /'image' must be one image .*: there are 2/,
    ],
  ];
  for (const [model, change, message] of REFUSED) {
    it(`refuses ${message.source}`, () => {
      assert.throws(() => completeRequest({ ...REQUEST, ...change }, model), message);
    });
  }

  it("asks for those that a model cannot do without", () => {
    const rules = { references: { ...kontextReferences(16), min: 1 } };
    assert.throws(() => requireReferences({}, rules), /'image' must be at least 1 .*: there are 0/);
    requireReferences({ references: [size(64, 64)] }, rules);
    requireReferences({}, {});
  });
});

describe("trainedSize()", () => {
  it("is the one of FLUX.1 Kontext's sizes whose proportions are nearest", () => {
    const sizes = [[100, 100], [3000, 2000], [16, 1600], [1600, 16], [1, 1].map((side) => 16 * side)];
    const nearest = sizes.map(([width, height]) => Object.values(trainedSize(size(width!, height!), 16)));
    assert.deepEqual(nearest, [[1024, 1024], [1248, 832], [672, 1568], [1568, 672], [1024, 1024]]);
  });
});
