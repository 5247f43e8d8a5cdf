// Compares our Chroma pipeline with diffusers' ChromaPipeline: text, and every recorded call from prompt to
// picture; batches, settings, rejected checkpoints.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { encodeChromaPrompt } from "../../../../gpu-worker/families/chroma/encode_chroma_prompt.ts";
import type { ChromaCheckpoint } from "../../../../gpu-worker/families/chroma/chroma_checkpoint.ts";
import { createBatch } from "../../../../gpu-worker/denoiser/picture_batch.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { referenceCases } from "../../pipeline/reference_cases.ts";
import { type RefusedCheckpoint, refusedCheckpoints } from "../../pipeline/refused_checkpoints.ts";

for (const [name, maxSequenceLength] of [["chroma/tiny-hd", 40], ["chroma/tiny-shift", 32]] as const) {
  describe(`ChromaPipeline.generate() on ${name}`, () => {
    const pipeline = referenceCases(name);

    it("gives a picture of a batch the latents that it has alone", async () => {
      const requests = ["a red heart", "two cats and three dogs"].map((prompt, seed) =>
        completeRequest({
          prompt,
          seed,
          steps: 8,
          width: 24,
          height: 40,
          maxSequenceLength,
          sampler: { method: "spectrum", warmupSteps: 3 },
        }, pipeline().description)
      );
      const places = createBatch(2);
      const together = await Promise.all(requests.map(async (request, i) => {
        using place = places[i]!;
        return await pipeline().generate(request, { batch: place });
      }));
      for (const [i, { latents }] of together.entries()) {
        const alone = await pipeline().generate(requests[i]!);
        assert.ok(maxError(latents.data, alone.latents.data) <= 1e-5);
      }
    });
  });

  describe(`encodeChromaPrompt() of ${name}`, () => {
    const goldens = loadGoldens(name);
    const reading = describeModel(goldenPath(name)).reading as ChromaCheckpoint;
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)));
    for (const id of ["text.plain", "text.empty", "text.unicode"]) {
      it(`gives diffusers' states, and counts one token of padding: ${id}`, async () => {
        using runtime = Runtime.open();
        using session = await runtime.createSession(reading.buildGraphs().t5);
        const t5 = { session, tokenizer: openTokenizer(reading.tokenizers.t5) };
        const { embeds, mask } = await encodeChromaPrompt(
          { text: cases[id].prompt, maxSequenceLength },
          { runtime, encoders: { t5 }, reading },
        );
        assert.deepEqual([...mask!], [...goldens.floats(`${id}.text_mask`)]);
        assert.ok(maxError(embeds, goldens.floats(`${id}.prompt_embeds`)) <= 2e-5);
      });
    }
  });
}

describe("readChromaCheckpoint()", () => {
  it("fills in ChromaPipeline's defaults, or Chroma1-HD's own", () => {
    const { defaults } = describeModel(goldenPath("chroma/tiny-hd")).reading;
    assert.deepEqual([defaults.steps, defaults.guidanceScale, defaults.maxSequenceLength], [35, 5, 512]);
    using checkpoint = new ChangedCheckpoint(goldenPath("chroma/tiny-hd"), {
      index: { _name_or_path: "lodestones/Chroma1-HD" },
    });
    const { defaults: own } = describeModel(checkpoint.folder).reading;
    assert.deepEqual([own.steps, own.guidanceScale], [40, 3]);
  });

  const REFUSED: RefusedCheckpoint[] = [
    [
      { index: { text_encoder: ["transformers", "UMT5EncoderModel"] } },
      /'text_encoder' must be T5EncoderModel.*UMT5EncoderModel$/,
    ],
    [
      { index: { transformer: ["diffusers", "FluxTransformer2DModel"] } },
      /'transformer' must be ChromaTransformer2DModel/,
    ],
    [{ transformer: { guidance_embeds: true } }, /'guidance_embeds'/],
    [{ scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", surprise: 1 } }, /'surprise'/],
  ];
  refusedCheckpoints(goldenPath("chroma/tiny-hd"), REFUSED);
});
