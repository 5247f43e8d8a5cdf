// Prompts with weights and long prompts on Stable Diffusion and SDXL: states and latents
// of tests/goldens/prompts.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { encodeUnetPrompt } from "../../../../gpu-worker/families/unet/encode_unet_prompt.ts";
import { readSdCheckpoint } from "../../../../gpu-worker/families/unet/sd_checkpoint.ts";
import { readSdxlCheckpoint } from "../../../../gpu-worker/families/unet/sdxl_checkpoint.ts";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import type { OnnxModel } from "../../../../gpu-worker/graph/graph_builder.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { batchLimit } from "../../../../gpu-worker/request/batch_limit.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import type { LoadedEncoder } from "../../../../gpu-worker/text/encode_text.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";

const TOLERANCE = 1e-4;

for (const [name, read] of [["tiny-sd15", readSdCheckpoint], ["tiny-sdxl", readSdxlCheckpoint]] as const) {
  const goldens = loadGoldens(`prompts/${name}`);
  const folder = goldenPath(`sdxl/${name}`);
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`prompts/${name}/goldens.json`)));
  const choice = (id: string) => ({
    promptWeights: id.includes("weights") || undefined,
    longPrompts: id.startsWith("long") || undefined,
  });

  describe(`prompts on ${name}`, () => {
    let stack: DisposableStack;
    let pipeline: Pipeline;
    let encode: (text: string, id: string) => ReturnType<typeof encodeUnetPrompt>;
    before(async () => {
      using opened = new DisposableStack();
      const runtime = opened.use(Runtime.open());
      const encoders: Record<string, LoadedEncoder> = {};
      const reading = read(Checkpoint.open(folder), "float32");
      const graphs: Record<string, OnnxModel> = reading.buildGraphs();
      for (const [name, tokenizer] of Object.entries(reading.tokenizers)) {
        const session = opened.use(await runtime.createSession(graphs[name]!));
        encoders[name] = { session, tokenizer: openTokenizer(tokenizer) };
      }
      encode = (text, id) => encodeUnetPrompt({ text, ...choice(id) }, { runtime, encoders, reading });
      pipeline = opened.use(await openPipeline(folder));
      stack = opened.move();
    });
    after(() => stack.dispose());

    for (const [id, call] of Object.entries<Record<string, never>>(cases)) {
      it(`have the states of ${id}: ${call["prompt"]}`, async () => {
        const { tokens, embeds, pooled, cut } = await encode(call["prompt"]!, id);
        assert.equal(tokens, goldens.shape(`${id}.prompt_embeds`)[1]);
        assert.ok(maxError(embeds, goldens.floats(`${id}.prompt_embeds`)) <= TOLERANCE);
        if (goldens.has(`${id}.text_embeds`)) {
          assert.ok(maxError(pooled, goldens.floats(`${id}.text_embeds`)) <= TOLERANCE);
        }
        assert.equal(cut!.dropped, 0);
      });
      if (!goldens.has(`${id}.latents`)) continue;
      it(`give diffusers' latents for ${id}, beside a short negative prompt`, async () => {
        const request = completeRequest({
          prompt: call["prompt"]!,
          negativePrompt: call["negative_prompt"]!,
          ...choice(id),
          seed: 11,
          steps: 6,
          guidanceScale: 5,
          width: 24,
          height: 16,
          sampler: { method: "none" },
        }, pipeline.description);
        const { latents } = await pipeline.generate(request);
        assert.ok(maxError(latents.data, goldens.floats(`${id}.latents`)) <= TOLERANCE);
      });
    }

    it("are cut, counted and left as text unless the request says otherwise", async () => {
      const long = cases["long"].prompt;
      const [cut, weighed, whole] = [
        await encode(long, ""),
        await encode(long, "weights"),
        await encode(long, "long"),
      ];
      assert.deepEqual([cut.cut, cut.embeds], [weighed.cut, weighed.embeds]);
      assert.ok(cut.cut!.dropped > 0 && whole.cut!.dropped === 0);
      assert.notDeepEqual((await encode("(red)", "")).embeds, (await encode("(red)", "weights")).embeds);
    });

    it("begin a chunk at BREAK, where they may have weights and several chunks", async () => {
      const states = async (text: string, id = "long weights") => (await encode(text, id)).embeds;
      const [red, heart] = [await states("a red"), await states("heart, (blue:1.2)")];
      assert.deepEqual(await states("a red BREAK heart, (blue:1.2)"), Float32Array.from([...red, ...heart]));
      assert.deepEqual(await states("a red BREAK"), red);
      for (const id of ["long", "weights", ""]) {
        assert.equal((await encode("a red BREAK heart", id)).tokens, (await encode("a red", id)).tokens);
      }
    });

    it("with several chunks are drawn alone", () => {
      const request = { prompt: "x", seed: 1, width: 16, height: 16, longPrompts: true };
      const { rules } = pipeline.description;
      assert.equal(batchLimit(completeRequest(request, pipeline.description), rules), 1);
      assert.ok(
        batchLimit(completeRequest({ ...request, longPrompts: false }, pipeline.description), rules) > 1,
      );
    });
  });
}
