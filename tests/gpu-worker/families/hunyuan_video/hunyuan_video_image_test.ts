// Compares HunyuanVideo from an image with diffusers' HunyuanVideoImageToVideoPipeline: every recorded call,
// the encoders of prompt and image, and requests and checkpoints that do not fit.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { encodeHunyuanVideoImagePrompt } from "../../../../gpu-worker/families/hunyuan_video/encode_hunyuan_video_image_prompt.ts";
import { hunyuanVideoFrameEncoderGraph } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_frame_encoder.ts";
import type { HunyuanVideoImageCheckpoint } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_image_checkpoint.ts";
import { decodeFrame } from "../../../../gpu-worker/media/decode_frame.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import type { LoadedText } from "../../../../gpu-worker/pipeline/family.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { requireFrames } from "../../../../gpu-worker/request/video_frames.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { latentsOf } from "../../../../gpu-worker/vae/video_size.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { Twin } from "../../checkpoint/single_file/twin.ts";
import { component } from "../../graph/component.ts";
import { runGraph } from "../../graph/run_graph.ts";
import { FIRST, LAST } from "../given_frames.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";

/** Checkpoint -> frames that diffusers computes and does not show. */
const HIDDEN = { "tiny-concat": 4, "tiny-replace": 0 };
/** Both sides compute a few layers in float32. */
const TOLERANCE = 2e-5;

for (const [name, hidden] of Object.entries(HIDDEN)) {
  const folder = `hunyuan_video/${name}`;
  const goldens = loadGoldens(folder);
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${folder}/goldens.json`)));

  describe(`Pipeline.generate() from an image on ${name}`, () => {
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(goldenPath(folder));
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, call] of referenceCalls(folder)) {
      it(`gives diffusers' results for ${id}`, async () => {
        const shown = { ...call, num_frames: call.num_frames! - hidden };
        assertReference(await generateReference(pipeline, shown, { firstFrame: FIRST }), { id, goldens });
      });
    }
  });

  describe(`encodeHunyuanVideoImagePrompt() with ${name}`, () => {
    const stack = new DisposableStack();
    let loaded: LoadedText<HunyuanVideoImageCheckpoint>;
    before(async () => {
      const runtime = stack.use(Runtime.open());
      const model = readModel(goldenPath(folder), {});
      const reading = model.reading as unknown as HunyuanVideoImageCheckpoint;
      const graphs = reading.buildGraphs();
      const open = async (graph: "llama" | "clip") => ({
        session: stack.use(await runtime.createSession(graphs[graph])),
        tokenizer: openTokenizer(reading.tokenizers[graph]),
      });
      loaded = {
        runtime,
        encoders: { llama: await open("llama"), clip: await open("clip") },
        vision: stack.use(await runtime.createSession(graphs.visionEncoder)),
        reading,
      };
    });
    after(() => stack.dispose());

    for (const id of Object.keys(cases).filter((id) => id.startsWith("text."))) {
      it(`gives diffusers' states and pooled output of ${id}`, async () => {
        const { prompt, max_sequence_length: maxSequenceLength, black } = cases[id];
        const { tokens, embeds, pooled } = await encodeHunyuanVideoImagePrompt(
          { text: prompt, maxSequenceLength, firstFrame: black ? undefined : FIRST },
          loaded,
        );
        assert.deepEqual([tokens, embeds.length / tokens], goldens.shape(`${id}.embeds`));
        const error = maxError(embeds, goldens.floats(`${id}.embeds`));
        assert(error <= TOLERANCE, `the states' error is ${error}`);
        assert(maxError(pooled, goldens.floats(`${id}.pooled`)) <= TOLERANCE);
      });
    }

    it("says how many of the prompt's tokens are lost with the template's end", async () => {
      // 150 tokens of LLaMA's, of which 100 less the four behind the prompt are read. CLIP reads fewer.
      const { cut } = await encodeHunyuanVideoImagePrompt(
        { text: `a${" heart".repeat(149)}`, maxSequenceLength: 100, firstFrame: FIRST },
        loaded,
      );
      assert.deepEqual(cut, { dropped: 54, limit: 100 });
    });

    it("refuses a prompt with the token of a picture", async () => {
      await assert.rejects(
        encodeHunyuanVideoImagePrompt({ text: "an <image>", maxSequenceLength: 24 }, loaded),
        { message: /'prompt' must not contain <image>/ },
      );
    });
  });

  describe(`hunyuanVideoFrameEncoderGraph() of ${name}`, () => {
    for (const id of Object.keys(cases).filter((id) => id.startsWith("encoded."))) {
      it(`gives diffusers' latents of ${id}`, async () => {
        const { width, height } = cases[id];
        const { data } = await decodeFrame(FIRST.file!.bytes, { width, height, field: "input_reference" });
        const { mean } = await runGraph(hunyuanVideoFrameEncoderGraph(component(`${folder}/vae`)), {
          frame: { shape: [1, 3, height, width], data: new Float32Array(data) },
        });
        assert.deepEqual(mean!.shape, [1, ...goldens.shape(`${id}.latents`)]);
        const error = maxError(mean!.data, goldens.floats(`${id}.latents`));
        assert(error <= TOLERANCE, `the error is ${error}`);
      });
    }
  });
}

describe("HunyuanVideo from an image", () => {
  const describeGolden = (name: string) => describeModel(goldenPath(`hunyuan_video/${name}`)).reading;
  const request = { prompt: "a red heart", seed: 1, steps: 3, width: 16, height: 16, firstFrame: FIRST };

  it("has the settings of the published results, without the frames that are not shown", () => {
    for (const [name, frames, scale] of [["tiny-concat", 125, 0], ["tiny-replace", 129, 6]] as const) {
      const reading = describeGolden(name);
      const { defaults } = reading;
      assert.deepEqual(
        [defaults.width, defaults.height, defaults.numFrames, defaults.fps, defaults.steps],
        [1280, 720, frames, 24, 50],
      );
      assert.deepEqual([defaults.guidanceScale, defaults.trueCfgScale], [scale, 1]);
      const { latentScale } = reading as unknown as HunyuanVideoImageCheckpoint;
      assert.equal(latentsOf(latentScale, defaults).frames, 33);
    }
  });

  for (const name of Object.keys(HIDDEN)) {
    it(`of ${name} sees its image, and shows as many frames as it was asked for`, async () => {
      using pipeline = await openPipeline(goldenPath(`hunyuan_video/${name}`));
      const sampler = { method: "none" as const };
      const previews: number[] = [];
      const [first, last] = await Promise.all([FIRST, LAST].map((firstFrame) =>
        pipeline.generate(
          completeRequest({ ...request, numFrames: 5, firstFrame, sampler }, pipeline.description),
          { previewSteps: new Set([0]), onPreview: (_, { width }) => void previews.push(width) },
        )
      ));
      assert.equal(first!.video!.frames.length, 5);
      assert.deepEqual(previews, [16, 16]);
      assert(maxError(first!.latents.data, last!.latents.data) > 1e-2);
    });
  }

  it("gives diffusers' results from a single file in the original names", async () => {
    const folder = "hunyuan_video/tiny-concat";
    const id = "picture.seed_42";
    const [, call] = referenceCalls(folder).find(([name]) => name === id)!;
    using twin = new Twin("hunyuan-video-33ch");
    using pipeline = await openPipeline(twin.path, { parts: { components: twin.folder } });
    assert.equal(pipeline.model.title, "HunyuanVideo I2V 33ch");
    const shown = { ...call, num_frames: call.num_frames! - HIDDEN["tiny-concat"] };
    const result = await generateReference(pipeline, shown, { firstFrame: FIRST });
    assertReference(result, { id, goldens: loadGoldens(folder) });
  });

  const REFUSED: [model: string, fields: object, message: RegExp][] = [
    ["tiny-concat", { firstFrame: undefined }, /'firstFrame' must be given with this model/],
    ["tiny-replace", { firstFrame: undefined }, /'firstFrame' must be given with this model/],
    ["tiny-concat", { lastFrame: LAST }, /'lastFrame' must be absent.*takes a first frame alone/],
    ["tiny-replace", { lastFrame: LAST }, /'lastFrame' must be absent.*takes a first frame alone/],
    ["tiny-replace", { numFrames: 1 }, /'numFrames' must be a whole number in 5..257: current value is 1/],
    ["tiny-concat", { guidanceScale: 3 }, /'guidanceScale' must be 0 with this checkpoint/],
    ["tiny-concat", { firstFrame: { width: 4, height: 40 } }, /'firstFrame' must have at least 16x16/],
    ["tiny-plain", {}, /'firstFrame' must be absent with this model/],
  ];
  for (const [model, fields, message] of REFUSED) {
    it(`is refused by ${model}: ${message}`, () => {
      const reading = describeGolden(model);
      assert.throws(() => {
        requireFrames(completeRequest({ ...request, numFrames: 5, ...fields }, reading), reading.rules);
      }, { message });
    });
  }

  const UNFIT: [
    what: string,
    changes: ConstructorParameters<typeof ChangedCheckpoint>[1],
    message: RegExp,
  ][] = [
    [
      "a network from text",
      { transformer: { image_condition_type: null, in_channels: 6, out_channels: 6 } },
      /'image_condition_type' must be latent_concat or token_replace with HunyuanVideoImageToVideoPipeline/,
    ],
    [
      "LLaMA without eyes",
      { index: { text_encoder: ["transformers", "LlamaModel"] } },
      /'text_encoder' must be LlavaForConditionalGeneration/,
    ],
    [
      "another image processor",
      { index: { image_processor: ["transformers", "SiglipImageProcessor"] } },
      /'image_processor' must be CLIPImageProcessor/,
    ],
    [
      "patches of two frames",
      { transformer: { patch_size_t: 2 } },
      /'patch_size_t' must be one latent frame/,
    ],
    ["padding on the left", { tokenizer: { padding_side: "left" } }, /'padding_side' must be "right"/],
  ];
  for (const [what, changes, message] of UNFIT) {
    it(`refuses ${what}`, () => {
      using changed = new ChangedCheckpoint(goldenPath("hunyuan_video/tiny-replace"), changes);
      assert.throws(() => readModel(changed.folder), { message });
    });
  }
});
