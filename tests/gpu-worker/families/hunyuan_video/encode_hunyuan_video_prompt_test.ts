// Compares prompts with HunyuanVideoPipeline.encode_prompt: tokens inside the template,
// their states, CLIP's pooled output.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import {
  type HunyuanVideoCheckpoint,
  readHunyuanVideoCheckpoint,
} from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_checkpoint.ts";
import { encodeHunyuanVideoPrompt } from "../../../../gpu-worker/families/hunyuan_video/encode_hunyuan_video_prompt.ts";
import type { LoadedText } from "../../../../gpu-worker/pipeline/family.ts";
import type { GraphSession } from "../../../../gpu-worker/session/session_loader.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { Runtime, type Session } from "../../../../gpu-worker/runtime/mod.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";

/** Both sides compute a few layers in float32. */
const TOLERANCE = 1e-5;

for (const name of ["tiny-distilled", "tiny-plain"]) {
  const folder = `hunyuan_video/${name}`;
  describe(`encodeHunyuanVideoPrompt() with ${name}`, () => {
    const goldens = loadGoldens(folder);
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${folder}/goldens.json`)));
    const stack = new DisposableStack();
    /** Ids of each encoder's last run. */
    const seen: Record<string, number[]> = {};
    let loaded: LoadedText<HunyuanVideoCheckpoint>;
    before(async () => {
      const runtime = stack.use(Runtime.open());
      const checkpoint = Checkpoint.open(goldenPath(folder));
      const reading = readHunyuanVideoCheckpoint(checkpoint, "float32");
      const graphs = reading.buildGraphs();
      const open = async (graph: "llama" | "clip", tokenizer: string) => ({
        session: recorded(stack.use(await runtime.createSession(graphs[graph])), (ids) => seen[graph] = ids),
        tokenizer: openTokenizer(checkpoint.path(tokenizer)),
      });
      const encoders = { llama: await open("llama", "tokenizer"), clip: await open("clip", "tokenizer_2") };
      loaded = { runtime, encoders, reading };
    });
    after(() => stack.dispose());

    for (const text of ["plain", "empty", "unicode"]) {
      it(`gives diffusers' ids, states and pooled output of the text '${text}'`, async () => {
        const id = `text.${text}`;
        const { prompt, max_sequence_length: maxSequenceLength } = cases[id];
        const { tokens, embeds, pooled } = await encodeHunyuanVideoPrompt(
          { text: prompt, maxSequenceLength },
          loaded,
        );
        assert.deepEqual([1, tokens, embeds.length / tokens], goldens.shape(`${id}.embeds`));
        const padded = [...goldens.ints(`${id}.llama_input_ids`)];
        assert.deepEqual(seen["llama"], padded.slice(0, seen["llama"]!.length));
        assert.ok(new Set(padded.slice(seen["llama"]!.length)).size <= 1, "the rest is padding");
        assert.deepEqual(seen["clip"], [...goldens.ints(`${id}.clip_input_ids`)]);
        assert.ok(maxError(embeds, goldens.floats(`${id}.embeds`)) <= TOLERANCE);
        assert.ok(maxError(pooled, goldens.floats(`${id}.pooled`)) <= TOLERANCE);
      });
    }
  });
}

function recorded(session: Session, keep: (ids: number[]) => void): GraphSession {
  return {
    inputNames: session.inputNames,
    run: async (feeds, options) => {
      keep(Array.from(await feeds["input_ids"]!.as("int64").toArray(), Number));
      return await session.run(feeds, options);
    },
  };
}
