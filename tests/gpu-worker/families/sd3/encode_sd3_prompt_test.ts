import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import { readSd3Checkpoint } from "../../../../gpu-worker/families/sd3/sd3_checkpoint.ts";
import { encodeSd3Prompt } from "../../../../gpu-worker/families/sd3/encode_sd3_prompt.ts";
import { RememberedPrompts } from "../../../../gpu-worker/text/remembered_prompts.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import type { OnnxModel } from "../../../../gpu-worker/graph/graph_builder.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";

/** Both sides compute in float32, but sum in another order, which three layers magnify to about 1e-6. */
const TOLERANCE = 1e-5;

for (const name of ["sd3/tiny-large", "sd3/tiny-medium"]) {
  describe(`encodeSd3Prompt() on ${name}`, () => {
    const goldens = loadGoldens(name);
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)));
    const stack = new DisposableStack();
    let prompts: RememberedPrompts;
    before(async () => {
      const checkpoint = Checkpoint.open(goldenPath(name));
      const reading = readSd3Checkpoint(checkpoint, "float32");
      const { clip, clip2, t5 } = reading.buildGraphs();
      const runtime = stack.use(Runtime.open());
      const load = async (model: OnnxModel, tokenizer: string) => ({
        session: stack.use(await runtime.createSession(model)),
        tokenizer: openTokenizer(checkpoint.path(tokenizer)),
      });
      const encoders = {
        clip: await load(clip, "tokenizer"),
        clip2: await load(clip2, "tokenizer_2"),
        ...t5 && { t5: await load(t5, "tokenizer_3") },
      };
      prompts = new RememberedPrompts((text, options) =>
        encodeSd3Prompt({ text, ...options }, { runtime, encoders, reading })
      );
    });
    after(() => stack.dispose());

    for (const id of ["text.plain", "text.empty", "text.unicode"]) {
      it(`gives diffusers' embeddings for ${id}`, async () => {
        const { prompt, max_sequence_length: maxSequenceLength } = cases[id];
        const { tokens, embeds, pooled } = await prompts.encode(prompt, { maxSequenceLength });
        assert.equal(tokens, goldens.shape(`${id}.prompt_embeds`)[1]);
        assert(maxError(embeds, goldens.floats(`${id}.prompt_embeds`)) <= TOLERANCE);
        assert(maxError(pooled, goldens.floats(`${id}.pooled_prompt_embeds`)) <= TOLERANCE);
      });
    }

    it("encodes a prompt once for two runs that begin together", async () => {
      const options = { maxSequenceLength: cases["text.plain"].max_sequence_length };
      const [first, second] = await Promise.all([
        prompts.encode("twice", options),
        prompts.encode("twice", options),
      ]);
      assert.equal(first, second);
    });
  });
}
