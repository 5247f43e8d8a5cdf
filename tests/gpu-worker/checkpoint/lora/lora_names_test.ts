// Compares every naming of LoRA layers that diffusers reads with diffusers' pictures. Tensors that diffusers
// ignores are ignored and reported.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { droppedTensors } from "../../../../gpu-worker/checkpoint/lora/dropped_tensors.ts";
import { applyLoras } from "../../../../gpu-worker/checkpoint/lora/apply_loras.ts";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";

const FAMILIES = {
  flux: "flux/tiny-dev",
  flux2: "flux2/tiny-base",
  qwen_image: "qwen_image/tiny-image",
  sd3: "sd3/tiny-large",
  sdxl: "sdxl/tiny-sdxl",
  sd15: "sdxl/tiny-sd15",
  qwen_image21: "qwen_image21/tiny-21",
  wan: "wan/tiny-unipc",
  wan22: "wan/tiny-a14b",
  hunyuan_video: "hunyuan_video/tiny-plain",
  z_image: "z_image/tiny-base",
};
/** Files of which something is ignored -> the expected notes. */
const NOTES: Readonly<Record<string, RegExp[]>> = {
  "flux comfy": [
    /left out changes of T5: /,
    /changes of biases: /,
    /changes of norms: /,
    /text projection: /,
  ],
  "flux mixture": [/the same layers once more, in other names: 'lora_unet_double/],
  "flux both": [/the same layers once more, in other names: 'lora_unet_double.* and 1 more/],
  "flux dora": [/left out scales of DoRA: 'transformer\.transformer_blocks\.0\.attn\.to_q\.dora_scale'$/],
  "flux2 dora": [/left out scales of DoRA: 'diffusion_model\.double_blocks\.0\.img_attn\.proj\.dora_scale'$/],
  "sdxl kohya-both": [/the same layers once more, in other names: 'lora_unet_input_blocks/],
  "z_image dots": [/the same layers once more, in other names: 'diffusion_model\.layers\.1.* and 3 more/],
  "wan original-kohya": [/changes of norms: /, /changes of whole tensors: /, /a bias without its weight: /],
};

for (const [family, checkpoint] of Object.entries(FAMILIES)) {
  const goldens = loadGoldens(`lora/names/${family}`);

  describe(`openPipeline() with LoRAs of ${family} in other namings`, () => {
    for (const [id, call] of referenceCalls(`lora/names/${family}`)) {
      const name = id.slice("picture.".length);
      it(`gives diffusers' latents for ${name}`, async () => {
        const path = goldenPath(`lora/names/${family}/${name}.safetensors`);
        const said: string[] = [];
        const warn = (note: string) => said.push(note);
        const loras = [{ path, weight: 1, ...name === "second" && { second: true } }];
        using pipeline = await openPipeline(goldenPath(checkpoint), { loras, warn });
        assertReference(await generateReference(pipeline, call), { id, goldens });
        const expected = NOTES[`${family} ${name}`] ?? [];
        assert.equal(said.length, expected.length, said.join("\n"));
        for (const [i, note] of said.entries()) {
          assert.ok(expected.some((pattern) => pattern.test(note)), `${i}: ${note}`);
          assert.ok(note.includes(basename(path)));
        }
      });
    }
  });
}

interface File {
  shapes: Record<string, number[]>;
  checkpoint?: string;
}

/** Returns the checkpoint with a LoRA file of ascending numbers, which is deleted afterwards. */
function apply({ shapes, checkpoint = "flux/tiny-dev" }: File): Checkpoint {
  const folder = Deno.makeTempDirSync();
  const path = join(folder, "x.safetensors");
  const tensors = Object.entries(shapes).map(([name, dims]) => ({
    name,
    dims,
    data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i),
  }));
  try {
    Deno.writeFileSync(path, encodeSafetensors(tensors));
    return applyLoras(Checkpoint.open(goldenPath(checkpoint)), [{ path, weight: 1 }]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

describe("applyLoras()", () => {
  const pair = (module: string, down: number[], up: number[]) => ({
    [`${module}.lora_A.weight`]: down,
    [`${module}.lora_B.weight`]: up,
  });

  it("reads fal's names, and turns the halves of the last modulation", () => {
    const checkpoint = apply({
      shapes: {
        ...pair("base_model.model.double_blocks.0.img_attn.qkv", [2, 20], [60, 2]),
        ...pair("base_model.model.final_layer.adaLN_modulation.1", [2, 20], [40, 2]),
      },
    });
    const weights = checkpoint.weights("transformer", "diffusion_pytorch_model");
    assert.equal(weights.get("transformer_blocks.0.attn.to_k.weight")?.additions?.length, 1);
    assert.equal(weights.get("norm_out.linear.weight")?.additions?.[0]?.swapped, true);
    assert.equal(weights.get("transformer_blocks.0.attn.to_k.weight")?.additions?.[0]?.swapped, false);
  });

  it("refuses a bias that does not fit, or stands alone", () => {
    const module = "transformer.x_embedder";
    const matrices = pair(module, [2, 64], [20, 2]);
    assert.throws(
      () => apply({ shapes: { ...matrices, [`${module}.lora_B.bias`]: [19] } }),
      /the bias of 'transformer\.x_embedder' must have the shape \[20\], but has \[19\]/,
    );
    assert.throws(() => apply({ shapes: { [`${module}.lora_B.bias`]: [20] } }), /lacks lora_A/);
    const bare = "unet.down_blocks.2.attentions.0.transformer_blocks.0.attn2.to_k";
    const shapes = { ...pair(bare, [2, 32], [32, 2]), [`${bare}.lora_B.bias`]: [32] };
    assert.throws(
      () => apply({ shapes, checkpoint: "sdxl/tiny-sdxl" }),
      /changes a bias, which unet's .* goes without|must make/,
    );
  });

  it("refuses a change of whole tensors where diffusers does", () => {
    assert.throws(
      () => apply({ shapes: { "lora_unet_img_in.diff": [20, 64] } }),
      /'lora_unet_img_in\.diff' is none of/,
    );
    assert.throws(() => apply({ shapes: { "lora_unet_img_in.diff_b": [20] } }), /diff_b' is none of/);
  });
});

describe("droppedTensors()", () => {
  it("leaves nothing out of a file without twins", () => {
    const keys = ["lora_unet_input_blocks_1_1_proj_in.lora_down.weight", "lora_te_text_model.lora_up.weight"];
    assert.equal(droppedTensors(keys, "UNet2DConditionModel").size, 0);
    assert.equal(droppedTensors(["diffusion_model.norm.diff"], "FluxTransformer2DModel").size, 0);
  });
});
