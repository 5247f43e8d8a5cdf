// The cases that Qwen-Image and Qwen-Image-2.1 share: text, pictures of the autoencoder, previews,
// and every recorded call.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import type { EncodersOf, Family, FamilyReading } from "../../../gpu-worker/pipeline/family.ts";
import { batchLimit } from "../../../gpu-worker/request/batch_limit.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { openTokenizer } from "../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { decodeLatents } from "../../../gpu-worker/vae/decode_latents.ts";
import { tiledSession } from "../../../gpu-worker/vae/tiled_decoder.ts";
import { tileFrames } from "../../../gpu-worker/vae/video_tiling.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";
import { referenceCases } from "../pipeline/reference_cases.ts";

/** Two dozen layers magnify the order of sums. */
const TOLERANCE = 2e-5;

interface QwenReading extends FamilyReading {
  tokenizers: Record<"qwen", string>;
  buildGraphs(): Record<"qwen" | "trunk" | "head" | "modulation" | "vae", OnnxModel>;
}

export interface QwenPictureCases<Reading extends QwenReading> {
  /** diffusers' class. */
  pipelineClass: string;
  /** Folder of goldens -> longest prompt. */
  checkpoints: Readonly<Record<string, number>>;
  /** Size of the picture that is previewed. */
  size: { width: number; height: number };
  encodePrompt: Family<Reading>["encodePrompt"];
}

export function qwenPictureCases<Reading extends QwenReading>(
  { pipelineClass, checkpoints, size: { width, height }, encodePrompt }: QwenPictureCases<Reading>,
): void {
  for (const [name, maxSequenceLength] of Object.entries(checkpoints)) {
    describe(`${pipelineClass}.generate() on ${name}`, () => {
      const pipeline = referenceCases(name);

      it("gives previews and the same latents with and without them", async () => {
        const request = completeRequest({
          prompt: "a red heart",
          seed: 1,
          steps: 12,
          width,
          height,
          maxSequenceLength,
          sampler: { method: "spectrum", warmupSteps: 3 },
        }, pipeline().description);
        const seen: number[] = [];
        const { latents } = await pipeline().generate(request, {
          previewSteps: new Set([4, 9]),
          onPreview: (index, image) => void seen.push(index, image.width, image.height),
        });
        assert.deepEqual(seen, [4, width, height, 9, width, height]);
        const plain = await pipeline().generate(request);
        assert.ok(maxError(latents.data, plain.latents.data) <= 1e-5);
      });
    });

    describe(`the components of ${name}`, () => {
      const goldens = loadGoldens(name);
      const reading = describeModel(goldenPath(name)).reading as Reading;
      const graphs = reading.buildGraphs();
      const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)));

      for (const id of ["text.plain", "text.empty", "text.unicode"]) {
        it(`encode prompts as diffusers does: ${id}`, async () => {
          using runtime = Runtime.open();
          using session = await runtime.createSession(graphs.qwen);
          const qwen = { session, tokenizer: openTokenizer(reading.tokenizers.qwen) };
          const { tokens, embeds } = await encodePrompt(
            { text: cases[id].prompt, maxSequenceLength },
            { runtime, encoders: { qwen } as unknown as EncodersOf<Reading>, reading },
          );
          assert.equal(tokens, goldens.shape(`${id}.prompt_embeds`)[1]);
          assert.ok(maxError(embeds, goldens.floats(`${id}.prompt_embeds`)) <= TOLERANCE);
        });
      }

      for (const id of ["vae.wide", "vae.tiled"].filter((id) => goldens.has(`${id}.latents`))) {
        it(`decode pictures as diffusers does: ${id}`, async () => {
          using runtime = Runtime.open();
          using session = await runtime.createSession(graphs.vae);
          const { side, stride } = cases[id];
          const scale = reading.latentScale.spatial;
          const layoutOf = (size: { height: number; width: number }) =>
            tileFrames(side === undefined ? undefined : { side, stride }, { ...size, scale });
          const vae = tiledSession(session, { runtime, layoutOf });
          const [, ...dims] = goldens.shape(`${id}.latents`);
          const { data } = await decodeLatents({ runtime, vae }, {
            dims,
            data: goldens.floats(`${id}.latents`),
          });
          assert.ok(maxError(data, goldens.floats(`${id}.decoded`)) <= TOLERANCE);
        });
      }
    });
  }
}

/** Qwen's prompts differ in length, so that every picture is drawn alone. */
export function assertDrawnAlone(folder: string, size: { width: number; height: number }): void {
  const { reading } = describeModel(folder);
  const request = completeRequest({ prompt: "", seed: 0, ...size }, reading);
  assert.equal(batchLimit(request, reading.rules), 1);
  assert.ok(batchLimit(request, { ...reading.rules, drawnAlone: false }) > 1);
}
