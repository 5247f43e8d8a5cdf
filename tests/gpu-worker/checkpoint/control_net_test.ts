// ControlNets as part of a model's name: what fits which model, and what is refused by name.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { modelDigest } from "../../../gpu-worker/checkpoint/model_digest.ts";
import { defaultExpName } from "../../../gpu-worker/cli/batch/batch_arguments.ts";
import { MODEL_FLAGS, readModelName } from "../../../gpu-worker/flags/model_flags.ts";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { readModel } from "../../../gpu-worker/model/read_model.ts";
import { readFlags } from "../../../protocol/process/read_flags.ts";
import { parseModelName } from "../../../protocol/wire/model_name.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { ChangedCheckpoint } from "../pipeline/changed_checkpoint.ts";
import { TempFolder } from "../../temp_folder.ts";

const SDXL = goldenPath("sdxl/tiny-sdxl");
const net = (name: string) => goldenPath(`control/${name}`);
const withNets = (model: string, ...nets: string[]) =>
  [model, ...nets.map((folder) => `controlnet:${folder}`)].join("+");

/** A copy of a ControlNet with other options in its config. */
function changed(folder: TempFolder, name: string, options: Record<string, unknown>): string {
  const copy = join(folder.path, "changed");
  Deno.mkdirSync(copy);
  for (const { name: file } of Deno.readDirSync(net(name))) {
    Deno.copyFileSync(join(net(name), file), join(copy, file));
  }
  const config = JSON.parse(Deno.readTextFileSync(join(copy, "config.json")));
  Deno.writeTextFileSync(join(copy, "config.json"), JSON.stringify({ ...config, ...options }));
  return copy;
}

describe("a model with ControlNets", () => {
  it("has a graph for each, and names them to requests", () => {
    const { reading, graphs } = readModel(withNets(SDXL, net("sdxl/canny")));
    assert.deepEqual(reading.rules.controlNets, [{ name: "canny" }]);
    assert.ok(graphs["trunk"]!.inputNames.includes("residual_mid"));
    assert.deepEqual(
      Object.values(graphs).map(({ name }) => name).filter((name) => name.startsWith("controlnet_")),
      ["controlnet_canny", "controlnet_canny_hint"],
    );
    assert.ok(!readModel(SDXL).graphs["trunk"]!.inputNames.includes("residual_mid"));
  });

  it("has several, of which a union has modes", () => {
    const { reading } = describeModel(
      withNets(goldenPath("flux/tiny-dev"), net("flux/canny"), net("flux/union")),
    );
    assert.deepEqual(reading.rules.controlNets, [{ name: "canny" }, { name: "union", modes: 3 }]);
  });

  it("has another digest, which its calibration's does not depend on", () => {
    const digest = (model: string) => modelDigest(describeModel(model).checkpoint);
    assert.notEqual(digest(withNets(SDXL, net("sdxl/canny"))), digest(SDXL));
    const { checkpoint } = describeModel(withNets(SDXL, net("sdxl/canny")));
    assert.equal(modelDigest(checkpoint, { controlNets: [] }), digest(SDXL));
  });

  for (const pipelineClass of ["FluxKontextPipeline", "FluxFillPipeline"]) {
    it(`is refused for ${pipelineClass}, which diffusers has no pipeline of`, () => {
      using checkpoint = new ChangedCheckpoint(goldenPath("flux/tiny-dev"), {
        index: { _class_name: pipelineClass },
      });
      assert.throws(() => describeModel(withNets(checkpoint.folder, net("flux/canny"))), {
        name: "CheckpointError",
        message: new RegExp(`ControlNet \\S+flux/canny with .* as ${pipelineClass} takes none`),
      });
    });
  }

  const REFUSED: [name: string, model: string, nets: string[], message: RegExp][] = [
    [
      "one of Stable Diffusion 1.5 with SDXL",
      SDXL,
      [net("sd15/canny")],
      /^Cannot use ControlNet \S+sd15\/canny with \S+tiny-sdxl as 'cross_attention_dim' must be .*20/,
    ],
    [
      "one of FLUX.1 with SDXL",
      SDXL,
      [net("flux/canny")],
      /flux\/canny with \S+tiny-sdxl as its class must be ControlNetModel, but is FluxControlNetModel/,
    ],
    [
      "one of SDXL with FLUX.1",
      goldenPath("flux/tiny-dev"),
      [net("sdxl/canny")],
      /sdxl\/canny with \S+tiny-dev as its class must be FluxControlNetModel/,
    ],
    [
      "a guidance embedding that the model lacks",
      goldenPath("flux/tiny-schnell"),
      [net("flux/union")],
      /flux\/union with \S+tiny-schnell as 'in_channels' must be the model's 16, but is 64/,
    ],
    ["any with Chroma", goldenPath("chroma/tiny-hd"), [net("flux/canny")], /as ChromaPipeline takes none/],
    [
      "a missing folder",
      SDXL,
      ["nowhere/canny"],
      /Cannot use ControlNet nowhere\/canny with .* as neither .* exists/,
    ],
    ["a whole pipeline", SDXL, [SDXL], /it is a whole pipeline/],
    ["a single file", SDXL, [join(SDXL, "model_index.json")], /it must be a folder in diffusers' layout/],
    [
      "two of one name",
      goldenPath("flux/tiny-dev"),
      [net("flux/canny"), net("sdxl/canny")],
      /as requests would name both 'canny'/,
    ],
  ];
  for (const [name, model, nets, message] of REFUSED) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => describeModel(withNets(model, ...nets)),
        (error) => {
          assert(error instanceof CheckpointError);
          assert.match(error.message, message);
          assert(!error.message.includes("\n"));
          return true;
        },
      );
    });
  }

  const CONFIGS: [net: string, model: string, options: Record<string, unknown>, message: RegExp][] = [
    ["flux/canny", "flux/tiny-dev", { conditioning_embedding_channels: 16 }, /XLabs' kind of ControlNet/],
    ["sdxl/canny", "sdxl/tiny-sdxl", { global_pool_conditions: true }, /'global_pool_conditions'/],
    ["sdxl/canny", "sdxl/tiny-sdxl", { class_embed_type: "timestep" }, /'class_embed_type'/],
    ["sdxl/canny", "sdxl/tiny-sdxl", { up_block_types: ["UpBlock2D"] }, /'up_block_types'/],
    ["sdxl/canny", "sdxl/tiny-sdxl", { invented: 1 }, /ControlNetModel has no option 'invented'/],
    ["sdxl/canny", "sdxl/tiny-sdxl", { _class_name: "ControlNetUnionModel" }, /must be ControlNetModel/],
    [
      "sdxl/canny",
      "sdxl/tiny-sdxl",
      { conditioning_embedding_out_channels: [4, 4, 6] },
      /'conditioning_embedding_out_channels' must be the model's "2 entries", but is "3 entries"/,
    ],
  ];
  for (const [name, model, options, message] of CONFIGS) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      using folder = new TempFolder();
      assert.throws(
        () => describeModel(withNets(goldenPath(model), changed(folder, name, options))),
        message,
      );
    });
  }

  it("refuses a truncated file and a lost tensor, naming both", () => {
    using folder = new TempFolder();
    const copy = changed(folder, "sdxl/canny", {});
    const file = join(copy, "diffusion_pytorch_model.safetensors");
    Deno.truncateSync(file, 100_000);
    assert.throws(
      () => describeModel(withNets(SDXL, copy)),
      new RegExp(`Cannot use ControlNet \\S+${basename(copy)} with \\S+tiny-sdxl as `),
    );
    Deno.removeSync(file);
    assert.throws(() => describeModel(withNets(SDXL, copy)), /tiny-sdxl as .*diffusion_pytorch_model/);
  });
});

describe("parseModelName() with ControlNets", () => {
  it("splits them off, among LoRAs", () => {
    assert.deepEqual(parseModelName("a+controlnet:x/y+b.safetensors:2+controlnet:ORG/N@main"), {
      name: "a",
      loras: [{ path: "b.safetensors", weight: 2 }],
      controlNets: ["x/y", "ORG/N@main"],
    });
  });

  it("reads what --controlnet makes, and names experiments after them", () => {
    const name = readModelName(
      readFlags(["--model=m", "--controlnet", "x/canny/", "--lora=l.safetensors"], MODEL_FLAGS),
    );
    assert.equal(name, "m+controlnet:x/canny/+l.safetensors");
    assert.equal(defaultExpName(name, "none"), "m+canny+l/none");
    assert.throws(
      () => readModelName(readFlags(["--controlnet", "a+b"], MODEL_FLAGS)),
      /--controlnet must be/,
    );
  });
});
