import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { sd3TransformerGraphs } from "../../../../gpu-worker/families/sd3/sd3_transformer.ts";
import type { DType } from "../../../../gpu-worker/runtime/mod.ts";
import { goldenPath, type Goldens, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { type FloatArrays, goldenArray, mapRows, row, run } from "../../graph/float_array.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { TOLERANCE, transformerCases } from "../../graph/transformer_cases.ts";

for (const name of ["tiny-large", "tiny-medium"]) {
  describe(`sd3TransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`sd3/${name}`);
    const parts = component(`sd3/${name}/transformer`);
    const build = (dtype: DType) => sd3TransformerGraphs({ ...parts, dtype });
    const { trunk } = build("float32");
    const layers = parts.config["num_layers"] as number;
    const inputsOf = (call: string) => {
      const inputs = trunkInputs(goldens, call, { layers });
      for (const skipped of skippedLayers(name, call)) inputs["layer_mask"]!.data[skipped] = 0;
      return inputs;
    };
    transformerCases({ build, goldens, inputsOf, calls: ["start", "batch", "skip"] });

    it("trunk gives its feature rows and columns of patches", async () => {
      const { feature } = await run(trunk, inputsOf("batch"));
      const [, , height, width] = goldens.shape("transformer.batch.hidden_states");
      const patch = parts.config["patch_size"] as number;
      const [batch, , inner] = goldens.shape("transformer.batch.feature");
      assert.deepEqual(feature!.shape, [batch, height! / patch, width! / patch, inner]);
    });

    it("trunk skips layers in the rows that ask for it, and in no other", async () => {
      const inputs = inputsOf("batch");
      inputs["layer_mask"]!.data[layers] = 0; // the first layer of the second row
      const { output } = await run(trunk, inputs);
      assert(
        maxError(row(output!, 0).data, row(goldenArray(goldens, "transformer.batch.output"), 0).data) <=
          TOLERANCE,
      );
      const { output: alone } = await run(trunk, mapRows(inputs, (array) => row(array, 1)));
      assert(maxError(row(output!, 1).data, alone!.data) <= TOLERANCE);
      assert(
        maxError(alone!.data, row(goldenArray(goldens, "transformer.batch.output"), 1).data) > 0.01,
        "skipped",
      );
    });
  });
}

describe("sd3TransformerGraphs()", () => {
  const { config, weights } = component("sd3/tiny-medium/transformer");

  for (const norm of ["layer_norm", "fp32_layer_norm"]) {
    it(`norms queries and keys by ${norm}`, async () => {
      const goldens = loadGoldens("sd3/qk-norms");
      const parts = component(`sd3/qk-norms/${norm}`);
      const { trunk } = sd3TransformerGraphs({ ...parts, dtype: "float32" });
      const { output } = await run(trunk, trunkInputs(goldens, norm, { layers: 2 }));
      assert(maxError(output!.data, goldens.floats(`transformer.${norm}.output`)) <= TOLERANCE);
    });
  }

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      assert.doesNotThrow(() => sd3TransformerGraphs({ config, weights, dtype }));
    }
  });

  const REFUSED: RefusedOption[] = [
    ["guidance_embeds", true, /'guidance_embeds'/],
    // Options that SD3Transformer2DModel could not use.
    ["num_layers", 0, /'num_layers'.*0/],
    ["qk_norm", "l2", /'qk_norm'.*"l2"/],
    ["pos_embed_max_size", null, /'pos_embed_max_size'.*null/],
    ["dual_attention_layers", [-1], /'dual_attention_layers.0'.*-1/],
    ["caption_projection_dim", 16, /'caption_projection_dim' must be .* \(12\).* 16/],
    // Options that contradict the tensors' shapes.
    ["out_channels", 8, /'proj_out.weight'.*\[8,12\].*\[4,12\]/],
    ["patch_size", 2, /'pos_embed.proj.weight'.*\[12,4,2,2\]/],
    ["pos_embed_max_size", 9, /'pos_embed.pos_embed'.*\[1,81,12\].*\[1,100,12\]/],
    ["dual_attention_layers", [0], /'transformer_blocks\.3\.norm1\.linear\.weight'/],
    // Options with missing tensors.
    ["qk_norm", "rms_norm", /'transformer_blocks\.0\.attn\.norm_q\.weight'/],
    ["num_layers", 5, /'transformer_blocks\.3\./],
  ];
  refusalCases(
    REFUSED,
    (changes) => sd3TransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );

  it("refuses a checkpoint with tensors that the config leaves no place for", () => {
    const lora = "transformer_blocks.0.attn.to_q.lora_A.weight";
    const more = new Map([...weights, [lora, weights.get("proj_out.weight")!]]);
    assertRefused(() => sd3TransformerGraphs({ config, weights: more, dtype: "float32" }), /to_q\.lora_A/);
  });
});

function trunkInputs(goldens: Goldens, call: string, { layers }: { layers: number }): FloatArrays {
  const names = ["hidden_states", "encoder_hidden_states", "pooled_projections", "timestep"];
  const inputs = Object.fromEntries(
    names.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)]),
  );
  const batch = inputs["timestep"]!.shape[0]!;
  return {
    ...inputs,
    layer_mask: { shape: [batch, layers], data: new Float32Array(batch * layers).fill(1) },
  };
}

function skippedLayers(checkpoint: string, call: string): number[] {
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`sd3/${checkpoint}/goldens.json`)));
  return cases[`transformer.${call}`].skip_layers;
}
