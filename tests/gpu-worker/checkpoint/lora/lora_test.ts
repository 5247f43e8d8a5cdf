// Compares LoRAs in every naming with diffusers' load_lora_weights and set_adapters, and
// checks the errors for unusable files.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { CheckpointError } from "../../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { readSafetensorsHeader } from "../../../../gpu-worker/checkpoint/safetensors.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";
import { formatLora, parseLora } from "../../../../protocol/wire/model_name.ts";
import { parseModelName } from "../../../../protocol/wire/model_name.ts";
import { type LoraModule, readLora } from "../../../../gpu-worker/checkpoint/lora/read_lora.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { modelInfo } from "../../../../gpu-worker/model/model_info.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";
import { LORA_CHECKPOINTS, loraFiles } from "./lora_checkpoints.ts";

for (const [family, checkpoint] of Object.entries(LORA_CHECKPOINTS)) {
  const loras = loraFiles(family, "style");
  const [[id, call]] = referenceCalls(`lora/${family}`) as [ReturnType<typeof referenceCalls>[0]];

  it(`openPipeline() of ${checkpoint} gives diffusers' latents for 0.7 style - 0.3 detail`, async () => {
    using pipeline = await openPipeline(goldenPath(checkpoint), { loras });
    assertReference(await generateReference(pipeline, call), { id, goldens: loadGoldens(`lora/${family}`) });
  });
}

/** Calls `use` with a file of tensors full of threes, which is deleted afterwards. */
function withLoraFile(shapes: Record<string, number[]>, use: (path: string) => void): void {
  const folder = Deno.makeTempDirSync();
  const path = join(folder, "x.safetensors");
  const tensors = Object.entries(shapes).map(([name, dims]) => ({
    name,
    dims,
    data: new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(3),
  }));
  try {
    Deno.writeFileSync(path, encodeSafetensors(tensors));
    use(path);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

describe("readModel() with loras", () => {
  const model = goldenPath("flux/tiny-dev");

  const refusal = (shapes: Record<string, number[]>, message: RegExp) =>
    withLoraFile(
      shapes,
      (path) =>
        assert.throws(() => readModel(model, { loras: [{ path, weight: 1 }] }), (error) => {
          assert.ok(error instanceof CheckpointError);
          assert.match(error.message, message);
          return true;
        }),
    );
  const pair = (module: string, down: number[], up: number[]) => ({
    [`${module}.lora_A.weight`]: down,
    [`${module}.lora_B.weight`]: up,
  });

  it("refuses a module that the checkpoint has not, by name", () => {
    refusal(pair("transformer.blocks.7.attn.to_q", [2, 20], [20, 2]), /no place for 'transformer\.blocks\.7/);
    refusal(pair("unet.x_embedders", [2, 64], [20, 2]), /no place for 'unet\.x_embedders'/);
    refusal(pair("x_embedder", [2, 64], [20, 2]), /no place for 'x_embedder'/);
    refusal(pair("text_encoder_3.shared", [2, 64], [20, 2]), /no place for 'text_encoder_3\.shared'/);
  });

  it("refuses tensors that are no part of a LoRA, by name", () => {
    refusal({ "lora_unet_img_in.hada_w1_a": [2, 2] }, /'lora_unet_img_in\.hada_w1_a' is none of/);
    refusal({ "transformer.x_embedder.lokr_w1": [20] }, /lokr_w1' is none of/);
    refusal({ "transformer.x_embedder.lora_A.bias": [2] }, /lora_A\.bias' is none of/);
    refusal({ "transformer.x_embedder.diff": [20, 64] }, /x_embedder\.diff' is none of/);
  });

  it("refuses FLUX's control LoRAs, which need a control picture, by name", () => {
    const norm = { "double_blocks.0.img_attn.norm.key_norm.scale": [20] };
    for (const name of ["transformer.x_embedder", "img_in"]) {
      refusal(
        { ...norm, ...pair(name, [2, 128], [20, 2]) },
        /is a control LoRA: '.*lora_A\.weight' reads 128/,
      );
    }
  });

  it("names a file that is not there", () => {
    const loras = [{ path: "nowhere/x.safetensors", weight: 1 }];
    assert.throws(() => readModel(model, { loras }), /Cannot read nowhere\/x\.safetensors/);
  });

  it("changes the second denoiser alone with @2, which needs one", () => {
    withLoraFile(pair("transformer.blocks.0.attn1.to_q", [2, 16], [16, 2]), (path) => {
      const { checkpoint } = readModel(`${goldenPath("wan/tiny-a14b")}+${path}@2:0.5`);
      const added = (component: string) =>
        checkpoint.weights(component, "diffusion_pytorch_model").get("blocks.0.attn1.to_q.weight")?.additions;
      assert.equal(added("transformer"), undefined);
      assert.equal(added("transformer_2")?.[0]?.scale, 0.5);
      assert.throws(() => readModel(`${model}+${path}@2`), /@2 needs a second denoiser/);
    });
  });

  it("refuses half a pair", () => {
    refusal({ "transformer.x_embedder.lora_A.weight": [2, 64] }, /'transformer\.x_embedder' lacks lora_B/);
    refusal({ "lora_unet_img_in.alpha": [] }, /'lora_unet_img_in' lacks lora_A/);
    refusal({ "transformer.x_embedder.lora_magnitude_vector": [20] }, /x_embedder' lacks lora_A/);
  });

  it("names both shapes where they do not fit", () => {
    const message = /has the shapes \[20,2\] and \[2,60\]: they must make \[20,64\], .*x_embedder\.weight/;
    refusal(pair("transformer.x_embedder", [2, 60], [20, 2]), message);
    refusal(pair("transformer.x_embedder", [2, 64], [20, 3]), /\[20,3\] and \[2,64\]/);
    refusal(pair("lora_unet_double_blocks_0_img_attn_qkv", [2, 20], [20, 2]), /they must make \[60,20\]/);
    const magnitude = { "transformer.x_embedder.lora_magnitude_vector": [7] };
    refusal({ ...pair("transformer.x_embedder", [2, 64], [20, 2]), ...magnitude }, /must have 20 elements/);
  });

  it("finds the files in the model's name, and tells models by their LoRAs", () => {
    const style = goldenPath("lora/flux/style.safetensors");
    const digests = ["", `+${style}`, `+${style}:0.5`, `+${style}+${style}`].map((loras) =>
      modelInfo(model, describeModel(model + loras)).digest
    );
    assert.equal(new Set(digests).size, 4);
    assert.equal(readModel(`${model}+${style}:0.5`).checkpoint.loras[0]?.weight, 0.5);
  });
});

describe("readLora()", () => {
  it("scales by alpha over rank, of the file's metadata or its tensors", () => {
    const scales = (name: string) =>
      new Set(readLora(goldenPath(`lora/flux/${name}.safetensors`)).modules.map(({ scale }) => scale));
    assert.deepEqual([...scales("style")], [1.5]);
    assert.deepEqual([...scales("kohya")], [1.5]);
    assert.deepEqual([...scales("detail")], [1]);
  });

  it("reads the names that diffusers wrote before peft", () => {
    const module = "transformer.x_embedder";
    const shapes = {
      [`${module}.lora.up.weight`]: [20, 6],
      [`${module}.lora.down.weight`]: [6, 64],
      [`${module}.alpha`]: [],
    };
    withLoraFile(shapes, (path) => {
      const [{ name, change, scale }] = readLora(path).modules as [LoraModule];
      assert.ok("up" in change);
      assert.deepEqual([name, change.down.shape, change.up.shape, scale], [module, [6, 64], [20, 6], 0.5]);
    });
  });

  it("pairs every tensor of the file", () => {
    const path = goldenPath("lora/sdxl/style.safetensors");
    assert.equal(2 * readLora(path).modules.length, readSafetensorsHeader(path).size);
  });
});

describe("parseLora()", () => {
  it("reads FILE and FILE:WEIGHT", () => {
    assert.deepEqual(parseLora("a/b.safetensors"), { path: "a/b.safetensors", weight: 1 });
    assert.deepEqual(parseLora("b.safetensors:-0.5"), { path: "b.safetensors", weight: -0.5 });
    assert.deepEqual(parseLora("b.safetensors@2:0.5"), { path: "b.safetensors", weight: 0.5, second: true });
    assert.equal(formatLora(parseLora("b.safetensors@2")), "b.safetensors@2");
  });

  for (const text of ["", ":1", "b.safetensors:", "b.safetensors:much", "b.safetensors:Infinity"]) {
    it(`refuses '${text}'`, () => assert.throws(() => parseLora(text), /must be FILE or FILE:WEIGHT/));
  }
});

describe("parseModelName()", () => {
  it("leaves plus signs of folders alone", () => {
    assert.deepEqual(parseModelName("models/a+b"), { name: "models/a+b", loras: [] });
    assert.deepEqual(parseModelName("models/a+b+x.safetensors:2+y/z.safetensors"), {
      name: "models/a+b",
      loras: [{ path: "x.safetensors", weight: 2 }, { path: "y/z.safetensors", weight: 1 }],
    });
  });
});
