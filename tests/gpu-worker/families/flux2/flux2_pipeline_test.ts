// Compares our FLUX.2 pipeline with diffusers' Flux2KleinPipeline: prompts, the VAE, every recorded call;
// rules, rejected checkpoints.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import { empiricalMu } from "../../../../gpu-worker/families/flux2/empirical_mu.ts";
import { encodeFlux2Prompt } from "../../../../gpu-worker/families/flux2/encode_flux2_prompt.ts";
import { readFlux2Checkpoint } from "../../../../gpu-worker/families/flux2/flux2_checkpoint.ts";
import {
  flux2VaeDecoderGraph,
  parseFlux2VaeConfig,
} from "../../../../gpu-worker/families/flux2/flux2_vae.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { goldenArray } from "../../graph/float_array.ts";
import { refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { runGraph } from "../../graph/run_graph.ts";
import { referenceCases } from "../../pipeline/reference_cases.ts";
import { type RefusedCheckpoint, refusedCheckpoints } from "../../pipeline/refused_checkpoints.ts";

const NAMES = { "flux2/tiny-base": 48, "flux2/tiny-distilled": 40 };
/** Both sides compute in float32. The text encoder's 27 layers magnify the order of sums. */
const TOLERANCE = 2e-5;

for (const [name, maxSequenceLength] of Object.entries(NAMES)) {
  describe(`Flux2KleinPipeline.generate() on ${name}`, () => {
    referenceCases(name);
  });

  describe(`the components of ${name}`, () => {
    const goldens = loadGoldens(name);
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)));
    const reading = readFlux2Checkpoint(Checkpoint.open(goldenPath(name)), "float32");

    it("encodeFlux2Prompt() gives diffusers' states, padding included", async () => {
      using runtime = Runtime.open();
      using session = await runtime.createSession(reading.buildGraphs().qwen);
      const encoders = { qwen: { session, tokenizer: openTokenizer(reading.tokenizers.qwen) } };
      for (const id of ["text.plain", "text.empty", "text.unicode"]) {
        const { tokens, embeds } = await encodeFlux2Prompt(
          { text: cases[id].prompt, maxSequenceLength },
          { runtime, encoders, reading },
        );
        assert.equal(tokens, maxSequenceLength);
        const error = maxError(embeds, goldens.floats(`${id}.embeds`));
        assert.ok(error <= TOLERANCE, `${id}: error is ${error}`);
      }
    });

    it("flux2VaeDecoderGraph() gives diffusers' pictures", async () => {
      const id = Object.keys(cases).find((id) => id.startsWith("vae."))!;
      const graph = flux2VaeDecoderGraph(component(`${name}/vae`));
      const { sample } = await runGraph(graph, { latent: goldenArray(goldens, `${id}.latents`) });
      assert.deepEqual(sample!.shape, goldens.shape(`${id}.decoded`));
      assert.ok(maxError(sample!.data, goldens.floats(`${id}.decoded`)) <= TOLERANCE);
    });
  });
}

describe("empiricalMu()", () => {
  const { empirical_mu } = JSON.parse(Deno.readTextFileSync(goldenPath("flux2/tiny-base/goldens.json")));
  it("is diffusers' compute_empirical_mu", () => {
    for (const [tokens, steps, mu] of empirical_mu) {
      assert.ok(Math.abs(empiricalMu(tokens, steps) - mu) <= 1e-12, `${tokens} tokens, ${steps} steps`);
    }
  });
});

describe("completeRequest() of Flux2KleinPipeline", () => {
  const read = (name: string) => readModel(goldenPath(`flux2/${name}`)).reading;
  const complete = (name: string, fields: object) =>
    completeRequest({ prompt: "x", seed: 0, ...fields }, read(name));

  it("fills in the settings that klein base and klein were published with", () => {
    const base = complete("tiny-base", {});
    const distilled = complete("tiny-distilled", {});
    assert.deepEqual([base.steps, base.guidanceScale, base.maxSequenceLength, base.width], [
      50,
      4,
      512,
      1024,
    ]);
    assert.deepEqual([distilled.steps, distilled.guidanceScale, distilled.width], [4, 0, 256]);
  });

  it("refuses guidance with a distilled checkpoint, which diffusers ignores", () => {
    assert.throws(() => complete("tiny-distilled", { guidanceScale: 4 }), /'guidanceScale' must be 0/);
    assert.throws(() => complete("tiny-base", { width: 24 }), /'width' must be divisible by 16/);
    assert.throws(
      () => complete("tiny-base", { maxSequenceLength: 513 }),
      /'maxSequenceLength'.*1\.\.512.*513/,
    );
  });
});

describe("readFlux2Checkpoint()", () => {
  const REFUSED: RefusedCheckpoint[] = [
    [
      { transformer: { joint_attention_dim: 24 } },
      /'joint_attention_dim' must be 3 times .*\(36\), but is 24/,
    ],
    [
      { transformer: { in_channels: 32 } },
      /'in_channels' must be 4 times .*'latent_channels' \(16\), but is 32/,
    ],
    [{ tokenizer: { padding_side: "left" } }, /'padding_side' must be "right": current value is "left"/],
    [{ index: { vae: ["diffusers", "AutoencoderKL"] } }, /'vae' must be AutoencoderKLFlux2/],
  ];
  refusedCheckpoints(goldenPath("flux2/tiny-base"), REFUSED);
});

describe("parseFlux2VaeConfig()", () => {
  const { config } = component("flux2/tiny-base/vae");
  const REFUSED: RefusedOption[] = [
    ["patch_size", [1, 1], /'patch_size/],
    ["scaling_factor", 0.5, /'scaling_factor'/],
    ["decoder_block_out_channels", [4, 8], /'decoder_block_out_channels' must have .*\(4\), but has 2/],
    ["norm_num_groups", 3, /'block_out_channels' must be multiples of 'norm_num_groups'/],
    ["use_tiling", true, /no option 'use_tiling'/],
  ];
  refusalCases(REFUSED, (changes) => parseFlux2VaeConfig({ ...config, ...changes }));
});
