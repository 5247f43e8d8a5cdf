// Compares every naming of LoRA layers that diffusers reads with diffusers' pictures. Tensors that diffusers
// ignores are ignored and reported.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { droppedTensors } from "../../../../gpu-worker/checkpoint/lora/dropped_tensors.ts";
import { applyLoras } from "../../../../gpu-worker/checkpoint/lora/apply_loras.ts";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import type { LowRankAddition } from "../../../../gpu-worker/checkpoint/weights.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";
import { fluxLoras } from "../../../../gpu-worker/families/flux/flux_loras.ts";
import { unetLoras } from "../../../../gpu-worker/families/unet/unet_loras.ts";
import { familyOf } from "../../../../gpu-worker/model/families.ts";
import { goldenPath } from "../../../goldens/golden.ts";

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
    const opened = Checkpoint.open(goldenPath(checkpoint));
    return applyLoras(opened, [{ path, weight: 1 }], familyOf(opened).loras);
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

  it("reads Qwen-Image-2.1's fused layer, whose first rows are the gate's", () => {
    for (const prefix of ["diffusion_model.", ""]) {
      const checkpoint = apply({
        shapes: pair(`${prefix}transformer_blocks.0.img_mlp.gate_up`, [2, 20], [80, 2]),
        checkpoint: "qwen_image21/tiny-21",
      });
      const weights = checkpoint.weights("transformer", "diffusion_pytorch_model");
      const upOf = (part: string) =>
        (weights.get(`transformer_blocks.0.img_mlp.${part}.weight`)!.additions?.[0] as LowRankAddition).up;
      const [gate, other] = [upOf("gate_layer"), upOf("proj")];
      assert.deepEqual([gate.shape, other.shape], [[40, 2], [40, 2]]);
      assert.equal(other.offset - gate.offset, gate.byteLength);
    }
  });

  it("reads the original names of Wan's layers for given frames", () => {
    const checkpoint = apply({
      shapes: {
        ...pair("diffusion_model.blocks.0.cross_attn.k_img", [2, 16], [16, 2]),
        ...pair("diffusion_model.blocks.1.cross_attn.v_img", [2, 16], [16, 2]),
        ...pair("diffusion_model.img_emb.proj.1", [2, 20], [20, 2]),
        ...pair("diffusion_model.img_emb.proj.3", [2, 20], [16, 2]),
      },
      checkpoint: "frames/tiny-i2v",
    });
    const weights = checkpoint.weights("transformer", "diffusion_pytorch_model");
    const changed = [...weights].flatMap(([name, { additions }]) => additions?.length === 1 ? [name] : []);
    assert.deepEqual(changed.sort(), [
      "blocks.0.attn2.add_k_proj.weight",
      "blocks.1.attn2.add_v_proj.weight",
      "condition_embedder.image_embedder.ff.net.0.proj.weight",
      "condition_embedder.image_embedder.ff.net.2.weight",
    ]);
  });

  it("reads the original names of HunyuanVideo's layers in a model from an image", () => {
    const checkpoint = apply({
      shapes: {
        ...pair("diffusion_model.double_blocks.1.img_attn_qkv", [2, 16], [48, 2]),
        ...pair("diffusion_model.single_blocks.0.linear2", [2, 56], [16, 2]),
      },
      checkpoint: "hunyuan_video/tiny-replace",
    });
    const weights = checkpoint.weights("transformer", "diffusion_pytorch_model");
    const changed = [...weights].flatMap(([name, { additions }]) => additions?.length === 1 ? [name] : []);
    assert.deepEqual(changed.sort(), [
      "single_transformer_blocks.0.proj_out.weight",
      ...["to_k", "to_q", "to_v"].map((name) => `transformer_blocks.1.attn.${name}.weight`),
    ]);
  });

  it("refuses LoKr's factors that do not fit, lack one or stand beside others", () => {
    const module = "transformer.x_embedder";
    const refuse = (shapes: Record<string, number[]>, message: RegExp) =>
      assert.throws(() => apply({ shapes, checkpoint: "flux2/tiny-base" }), message);
    const [left, right] = [`${module}.lokr_w1`, `${module}.lokr_w2`];
    refuse({ [left]: [4, 4] }, /'transformer\.x_embedder' lacks lokr_w2/);
    refuse({ [left]: [4, 4], [`${right}_a`]: [6, 1] }, /lacks lokr_w2_b/);
    refuse(
      { [left]: [4, 4], [right]: [6, 5] },
      /has the factors \[4,4\] and \[6,5\]: they must make \[24,16\]/,
    );
    refuse(
      { [left]: [4, 4], [`${right}_a`]: [6, 2], [`${right}_b`]: [1, 4] },
      /has the factors \[4,4\] and \[6,2\] x \[1,4\]/,
    );
    refuse({ [left]: [4], [right]: [6] }, /has the factors \[4\] and \[6\]/);
    refuse({ [left]: [4, 4], [right]: [6, 4], [`${module}.lora_B.bias`]: [24] }, /beside LoKr's/);
    refuse({ [`${module}.lokr_t2`]: [1, 1] }, /Tucker factors of LyCORIS are not supported/);
    assert.throws(
      () => apply({ shapes: { [left]: [4, 5] } }),
      /lokr_w1' is none of .*LoKr is read for FLUX\.2 and Z-Image alone/,
    );
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
  it("leaves out what diffusers ignores of FLUX files without a word", () => {
    const flux = (keys: string[]) => [...droppedTensors(keys, fluxLoras)];
    const down = "transformer.x_embedder.lora_down.weight";
    const alpha = "transformer.x_embedder.alpha";
    assert.deepEqual(flux([down, alpha]), [[alpha, "alphas beside diffusers' names"]]);
    assert.deepEqual(flux(["transformer.x_embedder.lora_A.weight", alpha]), []);
    const diff = "transformer.x_embedder.diff_b";
    assert.deepEqual(flux(["transformer.x_embedder.lora_A.weight", diff]), [
      [diff, "tensors that are no part of a LoRA"],
    ]);
    assert.deepEqual(flux([diff]), []);
  });

  it("leaves nothing out of a file without twins", () => {
    const keys = ["lora_unet_input_blocks_1_1_proj_in.lora_down.weight", "lora_te_text_model.lora_up.weight"];
    assert.equal(droppedTensors(keys, unetLoras).size, 0);
    assert.equal(droppedTensors(["diffusion_model.norm.diff"], fluxLoras).size, 0);
  });
});
