// Compares Qwen-Image-2.1 with references with diffusers' QwenImage21Pipeline and `image`: what the text
// encoder, the autoencoder and the transformer make of them, and every recorded call; settings, errors.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import {
  type QwenImage21Checkpoint,
  readQwenImage21Checkpoint,
} from "../../../../gpu-worker/families/qwen_image21/qwen_image21_checkpoint.ts";
import { encodeQwenImage21Prompt } from "../../../../gpu-worker/families/qwen_image21/encode_qwen_image21_prompt.ts";
import { qwenImage21Family } from "../../../../gpu-worker/families/qwen_image21/qwen_image21_family.ts";
import { wanVaeEncoderGraph } from "../../../../gpu-worker/graph/wan_vae/wan_vae_encoder.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { encodeReferences } from "../../../../gpu-worker/pipeline/encode_references.ts";
import { loadPipeline } from "../../../../gpu-worker/pipeline/load_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { shortRunNote } from "../../../../gpu-worker/request/short_runs.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { WeightStore } from "../../../../gpu-worker/session/weight_store.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { ImageEncoder } from "../../../../gpu-worker/vae/image_encoder.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { assertReference, completeReference, referenceCalls } from "../../pipeline/reference_call.ts";
import { goldenReferences } from "../golden_references.ts";
import { lookingCases } from "../looking_cases.ts";

const GOLDENS = "qwen_image21/references";
const CHECKPOINT = "qwen_image21/tiny-21";
/** The goldens' references are smaller than the pipeline's, so that a test takes seconds. */
const AREA = 64 * 64;
const goldens = loadGoldens(GOLDENS);

/** The calls of the checkpoint as it stands, and of one whose condition is modulated as the image. */
const VARIANTS = [
  { folder: () => goldenPath(CHECKPOINT), isOf: (id: string) => !id.endsWith("in_time"), name: CHECKPOINT },
  {
    folder: (stack: DisposableStack) =>
      stack.use(new ChangedCheckpoint(goldenPath(CHECKPOINT), { transformer: { causal_condition: false } }))
        .folder,
    isOf: (id: string) => id.endsWith("in_time"),
    name: `${CHECKPOINT} without causal_condition`,
  },
];

for (const { folder, isOf, name } of VARIANTS) {
  describe(`generate() with references on ${name}`, () => {
    const stack = new DisposableStack();
    let pipeline: Pipeline;
    before(async () => {
      const reading = readQwenImage21Checkpoint(Checkpoint.open(folder(stack)), "float32", { area: AREA });
      pipeline = stack.use(
        await loadPipeline(qwenImage21Family, reading, {
          runtime: stack.use(Runtime.open()),
          dtype: "float32",
          weightStore: stack.use(new WeightStore()),
          model: { id: name, pipelineClass: "", weights: "as-stored", digest: "" },
        }),
      );
    });
    after(() => stack.dispose());

    for (const [id, call] of referenceCalls(GOLDENS).filter(([id]) => isOf(id))) {
      it(`gives diffusers' results for ${id}`, async () => {
        const { references: names } = call as unknown as { references: string[] };
        const references = await goldenReferences(goldens, names);
        const result = await pipeline.generate({ ...completeReference(pipeline, call), references });
        assertReference(result, { id, goldens });
      });
    }

    lookingCases({ pipeline: () => pipeline, goldens });
  });
}

describe("the parts of qwen_image21/tiny-21 that look at references", () => {
  const reading = readQwenImage21Checkpoint(Checkpoint.open(goldenPath(CHECKPOINT)), "float32", {
    area: AREA,
  });
  const graphs = reading.buildGraphs();
  const [id, call] = referenceCalls(GOLDENS).find(([id]) => id === "picture.three")!;
  const { references: names } = call as unknown as { references: string[] };

  it("encode the text and the references' places as diffusers does", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(graphs.qwen);
    using vision = await runtime.createSession(graphs.visionEncoder!);
    const { embeds, referencePlaces } = await encodeQwenImage21Prompt({
      text: call.prompt,
      maxSequenceLength: 1024,
      references: await goldenReferences(goldens, names),
    }, {
      runtime,
      encoders: { qwen: { session, tokenizer: openTokenizer(reading.tokenizers.qwen) } },
      vision,
      reading,
    });
    assert.ok(maxError(embeds, goldens.floats(`${id}.prompt_embeds`)) <= 2e-5);
    const slots = [...goldens.ints(`${id}.slots`)];
    const starts = slots.flatMap((isSlot, i) => isSlot === 1 && slots[i - 1] !== 1 ? [i] : []);
    const textBefore = starts.map((start) => slots.slice(0, start).filter((isSlot) => isSlot === 0).length);
    assert.deepEqual(referencePlaces, textBefore);
  });

  it("encode the references' four channels as diffusers does", async () => {
    using runtime = Runtime.open();
    using encoder = new ImageEncoder(runtime, () => runtime.createSession(graphs.vaeEncoder!));
    const encoded = await encodeReferences(await goldenReferences(goldens, names), {
      decode: (reference) => qwenImage21Family.referencePicture!(reference, reading),
      packing: qwenImage21Family.packing!,
      latentScale: reading.latentScale,
      encoder,
      signal: undefined,
    });
    const tokens = encoded.flatMap(({ tokens }) => [...tokens]);
    assert.ok(maxError(tokens, goldens.floats(`${id}.reference_tokens`)) <= 2e-5);
  });
});

describe("the encoder of qwen_image21/tiny-plain", () => {
  it("encodes three channels without shortcuts as diffusers does", async () => {
    const plain = loadGoldens("qwen_image21/tiny-plain");
    const { vaeConfig } = describeModel(goldenPath("qwen_image21/tiny-plain"))
      .reading as QwenImage21Checkpoint;
    const { weights } = component("qwen_image21/tiny-plain/vae");
    using runtime = Runtime.open();
    using encoder = new ImageEncoder(
      runtime,
      () => runtime.createSession(wanVaeEncoderGraph({ config: vaeConfig, weights })),
    );
    const [, , height, width] = plain.shape("encode.wide.pixels") as [number, number, number, number];
    const data = plain.floats("encode.wide.pixels");
    const latents = await encoder.encode({ width, height, data }, {
      noise: (count) => new Float32Array(count),
    });
    assert.ok(maxError(latents, plain.floats("encode.wide.latents")) <= 2e-5);
  });
});

describe("a reading of QwenImage21Pipeline", () => {
  const { reading } = describeModel(goldenPath(CHECKPOINT));
  const reference = { width: 300, height: 200 };
  const complete = (fields: object = {}, model = reading) =>
    completeRequest({ prompt: "", seed: 0, steps: 40, ...fields }, model);

  it("takes up to ten references or none, and the first one's proportions", () => {
    assert.equal(complete().references, undefined);
    const { width, height, references } = complete({ references: [reference, { width: 10, height: 10 }] });
    assert.deepEqual([width, height, references!.length], [1248, 832, 2]);
    const eleven = new Array(11).fill(reference);
    assert.throws(() => complete({ references: eleven }), /must be at most 10 with this model: there are 11/);
    const long = { width: 9000, height: 10 };
    assert.throws(() => complete({ references: [long] }), /ratio is at most 200: it is 9000x10/);
    assert.throws(() => complete({ references: [reference], strength: 0.5 }), /strength.*must be absent/);
  });

  it("forecasts with references only on request, and says why", () => {
    const { sampler, steps } = complete({ references: [reference] });
    assert.equal(sampler.method, "none");
    assert.match(
      shortRunNote({ method: "none", steps, references: [reference] })!,
      /off by default with images/,
    );
    const named = complete({ references: [reference], sampler: { method: "spectrum" } });
    assert.equal(named.sampler.method, "spectrum");
  });

  it("draws from text alone where a part is missing, and names the part", () => {
    const plain = describeModel(goldenPath("qwen_image21/tiny-plain")).reading;
    assert.equal(plain.rules.references, undefined);
    const image = { width: 1024, height: 1024, data: new Float32Array() };
    assert.throws(
      () => complete({ image }, plain),
      /draws from text only: it has no image processor \(processor\/preprocessor_config\.json\)/,
    );
  });
});
