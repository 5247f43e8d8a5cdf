// Compares our Qwen-Image-Edit pipelines with diffusers' QwenImageEditPipeline and QwenImageEditPlusPipeline:
// every recorded call from prompt and references to picture; settings, errors, rejected checkpoints.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import {
  EDIT,
  EDIT_PLUS,
  type EditPipeline,
} from "../../../../gpu-worker/families/qwen_image/qwen_image_edit_checkpoint.ts";
import { qwenImageEdit } from "../../../../gpu-worker/families/qwen_image/qwen_image_edit_family.ts";
import { sizeOfArea } from "../../../../gpu-worker/text/qwen_vision/reference_sizes.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { loadPipeline } from "../../../../gpu-worker/pipeline/load_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { requireReferences } from "../../../../gpu-worker/request/references.ts";
import { shortRunNote } from "../../../../gpu-worker/request/short_runs.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { WeightStore } from "../../../../gpu-worker/session/weight_store.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { assertReference, completeReference, referenceCalls } from "../../pipeline/reference_call.ts";
import { type RefusedCheckpoint, refusedCheckpoints } from "../../pipeline/refused_checkpoints.ts";
import { goldenReferences } from "../golden_references.ts";
import { lookingCases } from "../looking_cases.ts";

const CHECKPOINTS: readonly [name: string, edit: EditPipeline][] = [
  ["qwen_image_edit/tiny-edit", EDIT],
  ["qwen_image_edit/tiny-plus", EDIT_PLUS],
];

for (const [name, published] of CHECKPOINTS) {
  describe(`generate() on ${name}`, () => {
    const goldens = loadGoldens(name);
    const { areas: [conditionArea, pictureArea] } = JSON.parse(
      Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)),
    );
    const folder = goldenPath(name);
    const stack = new DisposableStack();
    let pipeline: Pipeline;
    before(async () => {
      // The goldens' references are smaller than the pipeline's, so that a test takes seconds.
      const family = qwenImageEdit({ ...published, conditionArea, pictureArea });
      const reading = family.read(Checkpoint.open(folder), "float32");
      pipeline = stack.use(
        await loadPipeline(family, reading, {
          runtime: stack.use(Runtime.open()),
          dtype: "float32",
          weightStore: stack.use(new WeightStore()),
          model: { id: name, pipelineClass: "", weights: "as-stored", digest: "" },
        }),
      );
    });
    after(() => stack.dispose());

    for (const [id, call] of referenceCalls(name)) {
      it(`gives diffusers' results for ${id}`, async () => {
        const { references: names } = call as unknown as { references: string[] };
        const references = await goldenReferences(goldens, names);
        const request = { ...completeReference(pipeline, call), references };
        assertReference(await pipeline.generate(request), { id, goldens });
      });
    }

    lookingCases({ pipeline: () => pipeline, goldens });
  });
}

describe("readQwenImageEditCheckpoint()", () => {
  const folder = goldenPath("qwen_image_edit/tiny-plus");
  const { reading } = describeModel(folder);
  const reference = { width: 300, height: 200 };
  const complete = (fields: object = {}, model = reading) =>
    completeRequest({ prompt: "", seed: 0, references: [reference], ...fields }, model);

  it("fills in the pipelines' defaults, the published steps, and the size of the first reference", () => {
    const { defaults } = reading;
    assert.deepEqual([defaults.steps, defaults.trueCfgScale, defaults.maxSequenceLength], [50, 4, 1024]);
    const { width, height } = complete();
    assert.deepEqual({ width, height }, { width: 1248, height: 832 });
    assert.deepEqual(sizeOfArea({ width: 3, height: 4 }, 384 * 384), { width: 320, height: 448 });
    using checkpoint = new ChangedCheckpoint(folder, {
      index: { _name_or_path: "Qwen/Qwen-Image-Edit-2511" },
    });
    assert.equal(describeModel(checkpoint.folder).reading.defaults.steps, 40);
  });

  it("forecasts only on request, and says why", () => {
    const { sampler, steps } = complete();
    assert.equal(sampler.method, "none");
    assert.match(
      shortRunNote({ method: "none", steps, references: [reference] })!,
      /off by default with images/,
    );
    assert.equal(complete({ sampler: { method: "spectrum" } }).sampler.method, "spectrum");
  });

  it("takes as many references as its class, and at least one", () => {
    const edit = describeModel(goldenPath("qwen_image_edit/tiny-edit")).reading;
    const two = [reference, reference];
    assert.equal(complete({ references: two }).references!.length, 2);
    assert.throws(
      () => complete({ references: two }, edit),
      /must be at most 1 with this model: there are 2/,
    );
    assert.throws(
      () => requireReferences({}, reading.rules),
      /must be at least 1 with this model: there are 0/,
    );
    const long = { width: 9000, height: 10 };
    assert.throws(() => complete({ references: [long] }), /ratio is at most 200: it is 9000x10/);
  });

  const REFUSED: RefusedCheckpoint[] = [
    [
      { index: { text_encoder: ["transformers", "Qwen3Model"] } },
      /'text_encoder' must be Qwen2_5_VLForConditional/,
    ],
    [
      { transformer: { joint_attention_dim: 20 } },
      /'joint_attention_dim' must be the text encoder's 'hidden_size'/,
    ],
  ];
  refusedCheckpoints(folder, REFUSED);
});
