// Compares our Wan pipeline with diffusers' WanPipeline: every recorded call;
// previews, rules, rejected checkpoints.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import type { PartialRequest } from "../../../../gpu-worker/request/generate_request.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { phasesOf } from "../../../../gpu-worker/pipeline/run_shape.ts";
import { liveHandles } from "../../../../gpu-worker/runtime/mod.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { referenceCases } from "../../pipeline/reference_cases.ts";
import { type RefusedCheckpoint, refusedCheckpoints } from "../../pipeline/refused_checkpoints.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";

for (const name of ["wan/tiny-unipc", "wan/tiny-euler", "wan/tiny-a14b", "wan/tiny-ti2v"]) {
  describe(`WanPipeline.generate() on ${name}`, () => {
    const pipeline = referenceCases(name);

    const request: PartialRequest = {
      prompt: "a red heart",
      seed: 1,
      steps: 12,
      width: 32,
      height: 16,
      numFrames: 9,
      maxSequenceLength: 8,
      sampler: { method: "spectrum", warmupSteps: 3 },
    };

    it("gives a video of the asked length and rate, and its middle frame as the picture", async () => {
      const { video, image } = await pipeline().generate(
        completeRequest({ ...request, fps: 12.5 }, pipeline().description),
      );
      const { frames, ...rest } = video!;
      assert.deepEqual(rest, { width: 32, height: 16, fps: 12.5 });
      assert.deepEqual(frames.map(({ length }) => length), Array(9).fill(32 * 16 * 3));
      const red = Math.min(1, Math.max(0, image.data[5]! / 2 + 0.5)) * 255;
      assert.ok(Math.abs(red - frames[4]![5 * 3]!) <= 0.5);
    });

    it("gives previews at the asked steps", async () => {
      const seen: [number, number, number][] = [];
      await pipeline().generate(completeRequest(request, pipeline().description), {
        previewSteps: new Set([2, 7]),
        onPreview: (index, { width, height }) => void seen.push([index, width, height]),
      });
      assert.deepEqual(seen, [[2, 32, 16], [7, 32, 16]]);
    });

    it("ends with the signal's reason and holds no tensor of the run", async () => {
      using pipeline = await openPipeline(goldenPath(name));
      const before = liveHandles();
      const controller = new AbortController();
      const running = pipeline.generate(completeRequest(request, pipeline.description), {
        signal: controller.signal,
        onStep: ({ index }) => void (index === 1 && controller.abort(new Error("enough"))),
      });
      await assert.rejects(running, /enough/);
      assert.deepEqual(liveHandles(), before);
    });
  });
}

describe("completeRequest() of WanPipeline", () => {
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline(goldenPath("wan/tiny-euler"));
  });
  after(() => pipeline[Symbol.dispose]());
  const complete = (fields: object) =>
    completeRequest(
      { prompt: "x", seed: 0, width: 32, height: 32, numFrames: 3, ...fields },
      pipeline.description,
    );

  it("fills in Wan2.1's published settings", async () => {
    using published = await openPipeline(goldenPath("wan/tiny-unipc"));
    const { prompt: _prompt, seed: _seed, sampler: _sampler, ...settings } = completeRequest({
      prompt: "x",
      seed: 0,
    }, published.description);
    assert.deepEqual(settings, {
      negativePrompt: "",
      steps: 50,
      width: 832,
      height: 480,
      numFrames: 81,
      fps: 16,
      guidanceScale: 5,
      trueCfgScale: 1,
      guidanceRescale: 0,
      maxSequenceLength: 512,
    });
  });

  const REFUSED: [fields: object, message: RegExp][] = [
    [{ width: 24 }, /'width' must be divisible by 16: current value is 24/],
    // 12 positions of one row of patches, four pixels each.
    [{ height: 64 }, /'height' must be a whole number in 16\.\.48: current value is 64/],
    [{ numFrames: 4 }, /'numFrames' must be a multiple of 2 plus 1: current value is 4/],
    [{ numFrames: 25 }, /'numFrames' must be a whole number in 1\.\.23: current value is 25/],
    [{ maxSequenceLength: 513 }, /'maxSequenceLength'.*1\.\.512.*513/],
    [{ trueCfgScale: 2 }, /'trueCfgScale' must be 1/],
    [{ guidanceScale: 1, negativePrompt: "y" }, /'negativePrompt' takes 'guidanceScale' > 1.* 1$/],
    [{ skipLayerGuidance: { layers: [0] } }, /'skipLayerGuidance'/],
    [{ guidanceScale2: 3 }, /'guidanceScale2' must be absent with this model.* 3$/],
  ];
  for (const [fields, message] of REFUSED) {
    it(`refuses ${JSON.stringify(fields)}`, () => assert.throws(() => complete(fields), { message }));
  }
});

describe("WanPipeline of two experts", () => {
  const folder = goldenPath("wan/tiny-a14b");
  const request: PartialRequest = {
    prompt: "a red heart",
    seed: 1,
    steps: 24,
    width: 16,
    height: 16,
    numFrames: 5,
    maxSequenceLength: 8,
    sampler: { method: "spectrum", warmupSteps: 3 },
  };

  it("fills in Wan2.2's published settings", () => {
    const { defaults } = describeModel(folder).reading;
    assert.deepEqual([defaults.steps, defaults.width, defaults.guidanceScale], [50, 832, 5]);
    using experts = new ChangedCheckpoint(folder, {
      index: { _name_or_path: "Wan-AI/Wan2.2-T2V-A14B-Diffusers" },
    });
    const { reading } = describeModel(experts.folder);
    const { steps, width, height, guidanceScale, guidanceScale2 } = completeRequest(
      { prompt: "", seed: 0 },
      reading,
    );
    assert.deepEqual([steps, width, height, guidanceScale, guidanceScale2], [40, 1280, 720, 4, 3]);
    using small = new ChangedCheckpoint(goldenPath("wan/tiny-ti2v"), {
      index: { _name_or_path: "Wan-AI/Wan2.2-TI2V-5B-Diffusers" },
    });
    const { width: side, numFrames, fps } = describeModel(small.folder).reading.defaults;
    assert.deepEqual([side, numFrames, fps], [1280, 121, 24]);
  });

  it("guides the second expert as the first unless a request says otherwise", () => {
    const { reading } = describeModel(folder);
    const scales = (fields: object) => completeRequest({ ...request, ...fields }, reading).guidanceScale2;
    assert.equal(scales({}), 5);
    assert.equal(scales({ guidanceScale: 3 }), 3);
    assert.equal(scales({ guidanceScale: 3, guidanceScale2: 2 }), 2);
    assert.throws(() => scales({ guidanceScale2: 101 }), /'guidanceScale2' must be in 0\.\.100/);
  });

  it("begins with the second expert's full pass, which measures no error of other features", async () => {
    using pipeline = await openPipeline(folder);
    const { plan, forecastErrors } = await pipeline.generate(completeRequest(request, pipeline.description));
    const { reading, family } = describeModel(folder);
    const [, boundary] = phasesOf({ reading, family }, completeRequest(request, pipeline.description));
    assert.ok(boundary! > 4 && boundary! < 20);
    assert.equal(plan[boundary!], "full");
    assert.ok(plan.slice(0, boundary).includes("forecast") && plan.slice(boundary).includes("forecast"));
    assert.ok(!forecastErrors.has(boundary!) && forecastErrors.has(boundary! + 1));
  });

  it("holds one expert in memory under offload, and draws the same", async () => {
    using pipeline = await openPipeline(folder);
    const plain = await pipeline.generate(completeRequest(request, pipeline.description));
    using offloaded = await openPipeline(folder, { offload: true });
    const sessions: number[] = [];
    const before = liveHandles().Session ?? 0;
    const { latents } = await offloaded.generate(completeRequest(request, offloaded.description), {
      onStep: () => void sessions.push((liveHandles().Session ?? 0) - before),
    });
    assert.ok(Math.min(...sessions) > 0);
    assert.ok(Math.max(...sessions) <= 3, `trunk, head and modulation of one expert, but ${sessions}`);
    assert.deepEqual(latents.data, plain.latents.data);
  });

  it("has one phase where all timesteps are one expert's", () => {
    for (const [ratio, expert] of [[0, "transformer"], [1, "transformer_2"]] as const) {
      using checkpoint = new ChangedCheckpoint(folder, { index: { boundary_ratio: ratio } });
      const { family, reading } = describeModel(checkpoint.folder);
      const phases = phasesOf({ family, reading }, completeRequest({ ...request, steps: 8 }, reading));
      // UniPC's first timestep is 999, below a boundary of 1000.
      assert.deepEqual(phases, [0], expert);
    }
  });

  it("begins with the second expert under inverted sigmas, whose timesteps rise", () => {
    const scheduler = { _class_name: "FlowMatchEulerDiscreteScheduler", invert_sigmas: true };
    using checkpoint = new ChangedCheckpoint(folder, { scheduler, index: { boundary_ratio: 0.5 } });
    const { family, reading } = describeModel(checkpoint.folder);
    const stages = family.stages!(Float64Array.of(0, 250, 499, 500, 750), reading);
    assert.deepEqual(stages, [{ start: 0, network: 1 }, { start: 3, network: 0 }]);
    const phases = phasesOf({ family, reading }, completeRequest({ ...request, steps: 8 }, reading));
    assert.deepEqual(phases, [0, 4]);
  });

  it("refuses experts of different shapes, by the option", () => {
    const own = JSON.parse(Deno.readTextFileSync(`${folder}/transformer/config.json`));
    using checkpoint = new ChangedCheckpoint(folder, { transformer: { num_layers: own.num_layers + 1 } });
    assert.throws(
      () => describeModel(checkpoint.folder),
      /transformer_2\/config\.json as its numLayers must be the first transformer's \(3\), but is 2/,
    );
  });
});

describe("readWanCheckpoint()", () => {
  const REFUSED: RefusedCheckpoint[] = [
    [{ index: { boundary_ratio: 0.875 } }, /'transformer_2' must be WanTransformer3DModel.* nothing$/],
    [{ index: { boundary_ratio: 1.5 } }, /'boundary_ratio'.* 1\.5$/],
    [{ index: { expand_timesteps: "yes" } }, /'expand_timesteps'.*"yes"$/],
    [
      { index: { expand_timesteps: true }, transformer: { patch_size: [1, 1, 2] } },
      /'patch_size' must be 2 under/,
    ],
    [{ transformer: { text_dim: 19 } }, /'text_dim' must be the text encoder's 'd_model' \(20\).* 19$/],
    [
      { transformer: { in_channels: 36 } },
      /'in_channels' must be 'out_channels', as networks for image to video have more \(16\).* 36$/,
    ],
    [
      { index: { _class_name: "WanImageToVideoPipeline" } },
      /'in_channels' must be the latents, a mask and the given frames' latents \(36\).* 16$/,
    ],
    [{ transformer: { out_channels: 8 } }, /'out_channels' must be the autoencoder's 'z_dim' \(16\).* 8$/],
    [{ transformer: { image_dim: 1280 } }, /'added_kv_proj_dim' must be set exactly if 'image_dim' is/],
    [
      { index: { text_encoder: ["transformers", "T5EncoderModel"] } },
      /'text_encoder' must be UMT5EncoderModel.*T5EncoderModel$/,
    ],
    [
      { index: { scheduler: ["diffusers", "EulerDiscreteScheduler"] } },
      /'scheduler' must be UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler/,
    ],
  ];
  refusedCheckpoints(goldenPath("wan/tiny-unipc"), REFUSED);
});
