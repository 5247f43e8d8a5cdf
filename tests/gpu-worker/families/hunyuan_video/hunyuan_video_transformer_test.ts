import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseHunyuanVideoTransformerConfig } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_config.ts";
import { hunyuanVideoRotaryTables } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_rotary.ts";
import { hunyuanVideoTransformerGraphs } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_transformer.ts";
import { goldenPath, type Goldens, loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { type FloatArray, type FloatArrays, goldenArray } from "../../graph/float_array.ts";
import { refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";

/** In "masked" some of the text's tokens are padding. */
const CALLS = {
  "tiny-distilled": ["start", "masked", "batch"],
  "tiny-plain": ["start", "batch"],
  "tiny-concat": ["one", "batch"],
  "tiny-replace": ["one", "batch"],
};

for (const [name, calls] of Object.entries(CALLS)) {
  describe(`hunyuanVideoTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`hunyuan_video/${name}`);
    const parts = component(`hunyuan_video/${name}/transformer`);
    transformerCases({
      build: (dtype) => hunyuanVideoTransformerGraphs({ ...parts, dtype }),
      goldens,
      calls,
      inputsOf: (call) => trunkInputs(goldens, { name, call, config: parts.config }),
    });
  });
}

describe("hunyuanVideoTransformerGraphs()", () => {
  const { config, weights } = component("hunyuan_video/tiny-distilled/transformer");

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      assert.doesNotThrow(() => hunyuanVideoTransformerGraphs({ config, weights, dtype }));
    }
  });

  const REFUSED: RefusedOption[] = [
    [
      "image_condition_type",
      "latent_concat",
      /'in_channels' must be twice 'out_channels' plus 1.*\(33\).*16/,
    ],
    ["image_condition_type", "zeros", /'image_condition_type'.*"zeros"/],
    ["qk_norm", "l2", /'qk_norm'.*"l2"/],
    ["rope_axes_dim", [2, 3, 5], /'rope_axes_dim/],
    ["rope_axes_dim", [4, 4, 4], /'rope_axes_dim' must add up to 'attention_head_dim'/],
    ["out_channels", 8, /'out_channels' must equal 'in_channels' \(16\): current value is 8/],
    ["has_image_proj", true, /no option 'has_image_proj'/],
    ["mlp_ratio", 2, /'transformer_blocks.0.ff.net.0.proj.weight'.*\[40,20\].*\[80,20\]/],
    ["patch_size_t", 2, /'x_embedder.proj.weight'.*\[20,16,2,2,2\]/],
    ["num_refiner_layers", 1, /no place for: 'context_embedder.token_refiner.refiner_blocks.1/],
    ["guidance_embeds", false, /no place for: 'time_text_embed.guidance_embedder/],
    ["num_layers", 3, /no tensor 'transformer_blocks.2./],
  ];
  refusalCases(
    REFUSED,
    (changes) =>
      hunyuanVideoTransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );
});

interface TrunkCall {
  name: string;
  call: string;
  config: unknown;
}

/** Returns the inputs of diffusers' call without its masked text tokens. */
function trunkInputs(goldens: Goldens, { name, call, config: json }: TrunkCall): FloatArrays {
  const golden = (tensor: string) => goldenArray(goldens, `transformer.${call}.${tensor}`);
  const names = ["hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "guidance"];
  const inputs: FloatArrays = Object.fromEntries(
    names.filter((tensor) => goldens.has(`transformer.${call}.${tensor}`)).map((
      tensor,
    ) => [tensor, golden(tensor)]),
  );
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`hunyuan_video/${name}/goldens.json`)));
  const { text_tokens, valid_text_tokens } = cases[`transformer.${call}`];
  const valid: number = valid_text_tokens ?? text_tokens;
  const config = parseHunyuanVideoTransformerConfig(json);
  const { shape, data } = inputs["hidden_states"]!;
  const [batch, channels, frames, height, width] = shape as [number, number, number, number, number];
  const part = (from: number, to: number): FloatArray => {
    const plane = frames * height * width;
    const rows = Array.from(
      { length: batch },
      (_, i) => [...data.subarray((i * channels + from) * plane, (i * channels + to) * plane)],
    );
    return { shape: [batch, to - from, frames, height, width], data: Float32Array.from(rows.flat()) };
  };
  const { cos, sin } = hunyuanVideoRotaryTables({
    textTokens: valid,
    grid: [frames / config.patchSizeT, height / config.patchSize, width / config.patchSize],
    axesDims: config.ropeAxesDim,
    theta: config.ropeTheta,
  });
  const tableShape = [2 * cos.length / config.attentionHeadDim, config.attentionHeadDim / 2];
  return {
    ...inputs,
    hidden_states: part(0, config.outChannels),
    ...channels > config.outChannels && { condition: part(config.outChannels, channels) },
    encoder_hidden_states: firstTokens(inputs["encoder_hidden_states"]!, valid),
    rotary_cos: { shape: tableShape, data: cos },
    rotary_sin: { shape: tableShape, data: sin },
  };
}

function firstTokens({ shape, data }: FloatArray, count: number): FloatArray {
  const [batch, tokens, features] = shape as [number, number, number];
  const rows = Array.from(
    { length: batch },
    (_, i) => [...data.subarray(i * tokens * features, (i * tokens + count) * features)],
  );
  return { shape: [batch, count, features], data: Float32Array.from(rows.flat()) };
}
