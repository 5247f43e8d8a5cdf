// Tests the parts of the prediction. With tiny checkpoints they are small
// compared to the process's own memory.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  type MemoryQuery,
  predictMemory,
  predictPromptBytes,
} from "../../../../gpu-worker/cli/inspect/predict_memory.ts";
import type { WeightEntry } from "../../../../gpu-worker/checkpoint/weights.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../../goldens/golden.ts";

const MIB = 2 ** 20;
const KIB = 2 ** 10;
const entry = (mebibytes: number): WeightEntry => ({
  dtype: "float32",
  shape: [mebibytes * KIB, KIB / 4],
  offset: 0,
  byteLength: mebibytes * MIB,
  path: "/none",
});
const half = (shape: number[], dtype: "float16" | "bfloat16" = "float16"): WeightEntry => {
  const byteLength = shape.reduce((product, n) => product * n, 2);
  return { ...entry(1), dtype, shape, byteLength };
};
const components = (transformer = entry(300)): MemoryQuery["components"] => [
  { name: "text_encoder_2", weights: new Map([["block.weight", entry(200)]]) },
  { name: "transformer", weights: new Map([["blocks.weight", transformer]]) },
  { name: "vae", weights: new Map([["decoder.weight", entry(50)], ["encoder.weight", entry(40)]]) },
];
const query: MemoryQuery = {
  components: components(),
  dtype: "float32",
  plan: ["full"],
  slots: 0,
  featureElements: 0,
  maxSequenceLength: 512,
  decoding: { latents: 0, activation: 5 * MIB },
  offload: false,
};
const modelMiB = (changes: Partial<MemoryQuery> = {}) =>
  predictMemory({ ...query, ...changes }).modelBytes / MIB;

describe("predictMemory()", () => {
  it("predictMemory() adds up the networks loaded together, without the VAE's encoder", () => {
    assert.equal(modelMiB(), 200 + 300 + 50 + 4.5 * 5 * 4);
  });

  it("predictMemory() leaves out a text encoder's vision tower and its head for the next word", () => {
    const beside = ["visual.blocks.0.weight", "model.visual.blocks.0.weight", "lm_head.weight"];
    const weights = new Map([
      ["block.weight", entry(200)],
      ...beside.map((name) => [name, entry(30)] as const),
    ]);
    const [, ...others] = components();
    assert.equal(modelMiB({ components: [{ name: "text_encoder", weights }, ...others] }), modelMiB());
  });

  it("predictMemory() counts a table in the type that its file stores", () => {
    const stored = half([KIB * 200, KIB / 4]);
    const of = (tables: ReadonlySet<string>) =>
      modelMiB({ components: [{ name: "text_encoder", weights: new Map([["table", stored]]), tables }] });
    assert.equal(of(new Set(["table"])), 100);
    assert.ok(of(new Set()) >= 200);
  });

  it("predictMemory() adds references' tokens, the VAE's encoder and a vision tower", () => {
    const references = { elements: MIB, scores: 0, encoding: 0, towerElements: 0, textTokens: 0 };
    const encoder = 40;
    assert.equal(modelMiB({ references }), modelMiB() + encoder + 40 * 4);
    const encoding = { ...references, elements: 0, encoding: 2 * MIB };
    assert.equal(modelMiB({ references: encoding }), modelMiB() + encoder + 4.5 * 2 * 4);
    const weights = new Map([
      ["embed_tokens.weight", entry(200)],
      ["model.visual.blocks.0.weight", entry(30)],
      ["lm_head.weight", entry(30)],
    ]);
    const [, ...others] = components();
    const seeing = { components: [{ name: "text_encoder", weights }, ...others] };
    // The embedding's width is 256.
    const seen = { elements: 0, scores: 0, encoding: 0, towerElements: MIB, textTokens: 1024 };
    const states = (MIB + 1024 * 256) / MIB;
    assert.equal(
      modelMiB({ ...seeing, references: seen }),
      modelMiB(seeing) + encoder + 30 + 36 * states * 4,
    );
  });

  it("predictMemory() takes the largest part under offloading", () => {
    assert.equal(modelMiB({ offload: true }), 300);
    // The decoder's intermediate results may be more than any weights.
    assert.equal(modelMiB({ offload: true, decoding: { latents: 0, activation: 50 * MIB } }), 50 + 900);
  });

  it("predictMemory() counts a LoRA's weights thrice while it is folded in", () => {
    const down = entry(1);
    const changed = { ...entry(300), additions: [{ down, up: down, scale: 1 }] };
    assert.equal(modelMiB({ components: components(changed), offload: true }), 900);
  });

  it("predictMemory() counts the text beside the feature, in denoiser and encoder", () => {
    const text = modelMiB({ featureElements: MIB, conditioningElements: 2 * MIB }) - modelMiB();
    assert.equal(text, 40 * 3 * 4);
    const shared = { ...entry(200), shape: [200 * KIB / 2, 512] };
    const encoder = [{ name: "text_encoder", weights: new Map([["shared.weight", shared]]) }];
    assert.equal(modelMiB({ components: encoder }), 200 + 36 * 512 * 512 * 4 / MIB);
  });

  it("predictMemory() is within 10 % of Stable Diffusion 1.5's measured bytes in float16", () => {
    // Measured at 256x256, beside a process of 213 MiB: 6,989 and 7,148 MiB, and 6,297 MiB under offloading.
    const convolutions = half([1280, 460_178, 1, 1]);
    const linear = half([1280, 211_317]);
    const real = {
      components: [
        { name: "text_encoder", weights: new Map([["token_embedding.weight", half([160_235, 768])]]) },
        { name: "unet", weights: new Map([["convolutions", convolutions], ["linear", linear]]) },
        { name: "vae", weights: new Map([["decoder.conv_in.weight", half([512, 96_668, 1, 1])]]) },
      ],
      featureElements: 2 * 320 * 32 * 32,
      slots: 0,
      decoding: { latents: 4096, activation: 256 * 256 * 256 },
    };
    const within = (predicted: number, measured: number) =>
      assert.ok(Math.abs(predicted + 213 - measured) <= 0.1 * measured, `${predicted + 213} of ${measured}`);
    for (const measured of [6989, 7148]) within(modelMiB(real), measured);
    within(modelMiB({ ...real, offload: true }), 6297);
    // Other providers lay nothing out anew.
    assert.ok(modelMiB({ ...real, offload: true, provider: "cuda" }) < 4000);
  });

  it("predictMemory() is within 10 % of SDXL's measured bytes in float16 under offloading", () => {
    // Random weights of the published config, one step at 256x256, beside a process of 224 MiB: 11,099 MiB.
    const predicted = modelMiB({
      components: [
        { name: "text_encoder", weights: new Map([["token_embedding.weight", half([160_235, 768])]]) },
        { name: "text_encoder_2", weights: new Map([["token_embedding.weight", half([542_703, 1280])]]) },
        {
          name: "unet",
          weights: new Map([
            ["convolutions", half([1280, 260_338, 1, 1])],
            ["linear", half([1280, 1_745_493])],
          ]),
        },
        { name: "vae", weights: new Map([["decoder.conv_in.weight", half([512, 96_668, 1, 1])]]) },
      ],
      featureElements: 2 * 320 * 32 * 32,
      decoding: { latents: 4096, activation: 256 * 256 * 256 },
      offload: true,
    });
    assert.ok(Math.abs(predicted + 224 - 11_099) <= 0.1 * 11_099, `${predicted + 224}`);
  });

  it("predictMemory() keeps a large text encoder's matrices in their type, and three of them cast", () => {
    const matrix = half([4096, 10_240]); // 80 MiB
    const layers = (count: number, name = "text_encoder") => ({
      components: [{ name, weights: new Map(Array.from({ length: count }, (_, i) => [`${i}`, matrix])) }],
    });
    assert.equal(modelMiB(layers(10)), 10 * 80 + 3 * 160);
    assert.ok(modelMiB({ ...layers(10), provider: "cuda" }) >= 10 * 160);
    assert.ok(modelMiB(layers(10, "transformer")) >= 10 * 160);
    assert.ok(modelMiB(layers(6)) >= 6 * 160, "a small encoder is cast as it is loaded");
  });

  it("predictMemory() is within 10 % of the measured bytes of a FLUX of width 3072 in bfloat16", () => {
    // 2 double and 4 single blocks, the small encoders and VAE of models/emoji, one step at 256x256, which is
    // 1,024 tokens there: 5,320 MiB beside a process of 224 MiB.
    const weights = new Map([["blocks", half([3072, 421_811], "bfloat16")]]);
    const predicted = modelMiB({
      components: [{ name: "transformer", weights }],
      featureElements: 1024 * 3072,
    });
    assert.ok(Math.abs(predicted + 224 - 5320) <= 0.1 * 5320, `${predicted + 224}`);
  });

  it("predictPromptBytes() counts the states of every text encoder, for each prompt", () => {
    const clip = new Map([["text_model.embeddings.token_embedding.weight", {
      ...entry(1),
      shape: [100, 768],
    }]]);
    const t5 = new Map([["shared.weight", { ...entry(1), shape: [100, 4096] }]]);
    const components = [
      { name: "text_encoder", weights: clip },
      { name: "text_encoder_2", weights: t5 },
      { name: "transformer", weights: t5 },
    ];
    assert.equal(
      predictPromptBytes({ components, maxSequenceLength: 512 }, 2),
      2 * 4 * (77 * 768 + 512 * 4096),
    );
  });

  it("decoding() is bounded by a tile", () => {
    const { decoding, defaults } = readModel(goldenPath("flux/tiny-dev")).reading;
    const of = (side: number, vaeTiling: boolean) =>
      decoding({ ...defaults, width: side, height: side }, { vaeTiling }).activation;
    // Its VAE was made for 32 pixels.
    assert.equal(of(256, false), 64 * of(32, false));
    assert.equal(of(256, true), of(32, false));
    // Above 2048 pixels a side, tiles are the rule.
    assert.equal(of(2052, false), of(32, false));
  });
});
