// Reads checkpoints whose files contradict each other or are incomplete as diffusers reads them.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import { openWeights } from "../../../gpu-worker/checkpoint/weights.ts";
import { selectPipelineFiles } from "../../../gpu-worker/cli/pull/select_pipeline_files.ts";
import { encodeSafetensors } from "../../../gpu-worker/media/encode_safetensors.ts";
import {
  type AutoencoderKLConfig,
  latentScaling,
} from "../../../gpu-worker/graph/autoencoder_kl/autoencoder_kl_config.ts";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import { assertReference, generateReference, referenceCalls } from "../pipeline/reference_call.ts";

let root: string;
let count = 0;
before(() => {
  root = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(root, { recursive: true }));

type Change = (json: Record<string, unknown>) => void;

/** Returns the golden checkpoint with some of its JSON files changed. */
function changed(golden: string, changes: Readonly<Record<string, Change>>): string {
  const folder = join(root, String(count++));
  const copy = (from: string, to: string) => {
    Deno.mkdirSync(to, { recursive: true });
    for (const { name, isDirectory } of Deno.readDirSync(from)) {
      if (isDirectory) copy(join(from, name), join(to, name));
      else Deno.copyFileSync(join(from, name), join(to, name));
    }
  };
  copy(goldenPath(golden), folder);
  for (const [file, change] of Object.entries(changes)) {
    const path = join(folder, file);
    const json = JSON.parse(Deno.readTextFileSync(path));
    change(json);
    Deno.writeTextFileSync(path, JSON.stringify(json));
  }
  return folder;
}

describe("Checkpoint.scheduler()", () => {
  const scheduler = "scheduler/scheduler_config.json";

  it("takes the class from model_index.json, not from the config", () => {
    const plain = Checkpoint.open(goldenPath("sdxl/tiny-sd15")).scheduler();
    for (const name of ["DDIMScheduler", "EulerDiscreteScheduler", undefined]) {
      const folder = changed("sdxl/tiny-sd15", { [scheduler]: (json) => json["_class_name"] = name });
      assert.deepEqual(Checkpoint.open(folder).scheduler(), plain);
      assert.equal(describeModel(folder).checkpoint.scheduler()["_class_name"], plain["_class_name"]);
    }
  });

  it("takes the config's where model_index.json names none", () => {
    const folder = changed("sdxl/tiny-sd15", { "model_index.json": (json) => delete json["scheduler"] });
    const { _class_name: name } = Checkpoint.open(goldenPath("sdxl/tiny-sd15")).scheduler();
    assert.equal(Checkpoint.open(folder).scheduler()["_class_name"], name);
  });
});

describe("a UNet that diffusers saved before 0.9", () => {
  const sizes = (golden: string, version: unknown, sample: unknown) => {
    const folder = changed(golden, {
      "unet/config.json": (json) => Object.assign(json, { _diffusers_version: version, sample_size: sample }),
    });
    const { width, height } = describeModel(folder).reading.defaults;
    return [width, height];
  };

  it("makes pictures of 64 x 64 latents where its config says less, in Stable Diffusion alone", () => {
    assert.deepEqual(sizes("sdxl/tiny-sd15", "0.6.0", 8), [128, 128]);
    assert.deepEqual(sizes("sdxl/tiny-sd15", "0.8.1", 32), [128, 128]);
    assert.deepEqual(sizes("sdxl/tiny-sd15", "0.6.0", 96), [192, 192]);
    assert.deepEqual(sizes("sdxl/tiny-sd15", "0.9.0", 8), [16, 16]);
    assert.deepEqual(sizes("sdxl/tiny-sd15", "0.42.1", 8), [16, 16]);
    assert.deepEqual(sizes("sdxl/tiny-sd15", undefined, 8), [16, 16]);
    assert.deepEqual(sizes("sdxl/tiny-sdxl", "0.6.0", 8), sizes("sdxl/tiny-sdxl", "0.42.1", 8));
  });
});

describe("an index beside a single file", () => {
  const tensor = (name: string) => [{ name, dims: [1], data: Float32Array.of(1) }];
  const write = (stem: string) => {
    const folder = join(root, String(count++));
    Deno.mkdirSync(folder);
    const shard = `${stem}-00001-of-00001.safetensors`;
    Deno.writeFileSync(join(folder, `${stem}.safetensors`), encodeSafetensors(tensor("single")));
    Deno.writeFileSync(join(folder, shard), encodeSafetensors(tensor("sharded")));
    const index = JSON.stringify({ weight_map: { sharded: shard } });
    Deno.writeTextFileSync(join(folder, `${stem}.safetensors.index.json`), index);
    return folder;
  };

  it("is followed by diffusers' components and left by transformers'", () => {
    const names = (stem: string) => [...openWeights(write(stem), stem).keys()];
    assert.deepEqual(names("diffusion_pytorch_model"), ["sharded"]);
    assert.deepEqual(names("model"), ["single"]);
  });

  it("is pulled as it is read", () => {
    const select = (stem: string) => {
      const names = ["config.json", ...Deno.readDirSync(write(stem)).map(({ name }) => name)];
      const files = names.map((name) => ({ path: `part/${name}`, size: 1, oid: name, lfs: true }));
      return selectPipelineFiles(files, { index: { part: ["x", "Y"] } }).map(({ path }) => path).sort();
    };
    assert.deepEqual(select("diffusion_pytorch_model"), [
      "part/config.json",
      "part/diffusion_pytorch_model-00001-of-00001.safetensors",
      "part/diffusion_pytorch_model.safetensors.index.json",
    ]);
    assert.deepEqual(select("model"), ["part/config.json", "part/model.safetensors"]);
  });
});

describe("stochastic_sampling of FlowMatchEuler", () => {
  for (const golden of ["flux/tiny-dev", "sd3/tiny-large", "wan/tiny-euler", "hunyuan_video/tiny-plain"]) {
    it(`gives diffusers' latents on ${golden}`, async () => {
      const folder = `stochastic/${golden.replace("/", "-")}`;
      const [[id, call]] = referenceCalls(folder) as [ReturnType<typeof referenceCalls>[0]];
      const model = changed(golden, {
        "scheduler/scheduler_config.json": (json) => json["stochastic_sampling"] = true,
      });
      using pipeline = await openPipeline(model);
      assertReference(await generateReference(pipeline, call), { id, goldens: loadGoldens(folder) });
    });
  }
});

describe("completeRequest()", () => {
  const request = (folder: string, more: Record<string, unknown>) => {
    const { defaults, rules } = describeModel(folder).reading;
    return completeRequest({ prompt: "x", seed: 1, ...more }, { defaults, rules });
  };

  it("says where a limit of pixels comes from", () => {
    const folder = changed("flux/tiny-dev", {});
    const large = { width: 4096, height: 4096 };
    assert.throws(
      () => request(folder, large),
      /4096x4096 has 16777216 \(the limit is 4 times its default size; "maxPixels" in its/,
    );
    Deno.writeTextFileSync(join(folder, "spectrum.json"), '{"maxPixels": 4096}');
    assert.throws(
      () => request(folder, large),
      /at most 4096 pixels .* \(the limit is its spectrum\.json's\)/,
    );
  });

  it("guides away from the empty text where true_cfg_scale has no negative prompt", () => {
    const { trueCfgScale, negativePrompt } = request(dirname(goldenPath("flux/tiny-dev/model_index.json")), {
      trueCfgScale: 2,
    });
    assert.deepEqual([trueCfgScale, negativePrompt], [2, ""]);
  });
});

describe("an autoencoder's config", () => {
  const shift = { shift_factor: 0.25 };
  const statistics = (channels: number) => ({
    latents_mean: Array.from({ length: channels }, (_, i) => i / 10),
    latents_std: Array.from({ length: channels }, (_, i) => 1 + i / 10),
  });
  // What diffusers' pipelines read of it: FLUX and its like the shift, SDXL the statistics, SD neither.
  const CASES: [golden: string, ignored: object, read: object][] = [
    ["sdxl/tiny-sd15", { ...shift, ...statistics(4) }, { scaling_factor: 0.5 }],
    ["sdxl/tiny-sdxl", shift, statistics(4)],
    ["flux/tiny-schnell", statistics(4), shift],
    ["sd3/tiny-medium", statistics(4), shift],
    ["chroma/tiny-shift", statistics(4), shift],
    ["z_image/tiny-turbo", statistics(4), shift],
  ];
  for (const [golden, ignored, read] of CASES) {
    it(`of ${golden} says about the latents what the pipeline reads`, () => {
      const scalingWith = (options: object) => {
        const folder = changed(golden, { "vae/config.json": (json) => Object.assign(json, options) });
        const { vaeConfig } = describeModel(folder).reading as unknown as { vaeConfig: AutoencoderKLConfig };
        return latentScaling(vaeConfig);
      };
      const own = scalingWith({});
      assert.deepEqual(scalingWith(ignored), own);
      assert.notDeepEqual(scalingWith(read), own);
    });
  }
});
