// Compares pictures' patches, both vision towers, token positions and text with pictures with transformers.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseQwenImageInputs } from "../../../../gpu-worker/graph/text_encoders/qwen_config.ts";
import { qwenEncoderGraph } from "../../../../gpu-worker/graph/text_encoders/qwen_encoder.ts";
import { parseQwenVisionConfig } from "../../../../gpu-worker/graph/vision_encoders/qwen_vision_config.ts";
import { qwenVisionEncoderGraph } from "../../../../gpu-worker/graph/vision_encoders/qwen_vision_encoder.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { encodeIds } from "../../../../gpu-worker/text/encode_text.ts";
import { encodeImages } from "../../../../gpu-worker/text/qwen_vision/encode_images.ts";
import {
  imagePatches,
  parseImageProcessorConfig,
  smartResize,
} from "../../../../gpu-worker/text/qwen_vision/image_processor.ts";
import { tokenPositions } from "../../../../gpu-worker/text/qwen_vision/token_positions.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../component.ts";
import { assertRefused } from "../refusal.ts";

/** Both sides compute in float32. */
const TOLERANCE = 2e-5;
const IMAGES = ["square", "wide", "tall", "line"];

for (const architecture of ["qwen2_5_vl", "qwen3_vl"] as const) {
  describe(`the vision tower of ${architecture}`, () => {
    const folder = `qwen_vision/${architecture}`;
    const goldens = loadGoldens(folder);
    const parts = component(`${folder}/text_encoder`);
    const inputs = parseQwenImageInputs(parts.config, { architecture });
    const vision = parseQwenVisionConfig(inputs.vision, { architecture, path: "config.json" });
    const path = "preprocessor_config.json";
    const json = JSON.parse(Deno.readTextFileSync(goldenPath(`${folder}/${path}`)));
    const processor = parseImageProcessorConfig(json, { path, vision });
    const picture = (name: string) => {
      const [height, width] = goldens.shape(`image.${name}.pixels`) as [number, number, number];
      return { width, height, data: Uint8Array.from(goldens.ints(`image.${name}.pixels`)) };
    };
    const deepstackLayers = vision.deepstack?.blocks.length ?? 0;

    for (const name of IMAGES) {
      it(`cuts the same patches as transformers: ${name}`, async () => {
        const { pixels, grid } = await imagePatches(picture(name), { processor, vision });
        const [, height, width] = goldens.ints(`image.${name}.grid`);
        assert.deepEqual(grid, { width, height });
        assert.ok(maxError(pixels, goldens.floats(`image.${name}.pixel_values`)) <= 2e-7);
      });
    }

    it("gives transformers' features of every picture", async () => {
      using runtime = Runtime.open();
      using session = await runtime.createSession(
        qwenVisionEncoderGraph({ config: vision, weights: parts.weights, dtype: "float32" }),
      );
      for (const name of IMAGES) {
        const { data } = await encodeImages({ session, config: vision, processor }, [picture(name)], {
          runtime,
        });
        const error = maxError(data, goldens.floats(`image.${name}.features`));
        assert.ok(error <= TOLERANCE, `${name}: ${error}`);
      }
    });

    it("gives transformers' states of a text with two pictures", async () => {
      const ids = [...goldens.ints("conversation.input_ids")];
      const names = ["wide", "tall"];
      const images = names.map((name) => {
        const [, height, width] = goldens.ints(`image.${name}.grid`) as unknown as [number, number, number];
        return { width: width / vision.mergeSize, height: height / vision.mergeSize };
      });
      const { positions, features } = tokenPositions({ ids, imageToken: inputs.imageToken, images });
      assert.deepEqual([...positions].map(Number), [...goldens.ints("conversation.positions")]);
      const data = Float32Array.from(names.flatMap((name) => [...goldens.floats(`image.${name}.features`)]));
      const width = vision.outHiddenSize * (1 + deepstackLayers);
      using runtime = Runtime.open();
      for (const [state, finalNorm] of [["last_state", false], ["normed_state", true]] as const) {
        using session = await runtime.createSession(
          qwenEncoderGraph({
            ...parts,
            architecture,
            dtype: "float32",
            states: [-1],
            finalNorm,
            images: { rotaryAxes: inputs.rotaryAxes, deepstackLayers },
          }),
        );
        const { hidden_state } = await encodeIds({ session }, {
          runtime,
          ids,
          attentionMask: ids.map(() => 1),
          inputs: {
            image_features: { dtype: "float32", dims: [data.length / width, width], data },
            feature_indices: { dtype: "int64", dims: [ids.length], data: features },
            positions: { dtype: "int64", dims: [3, ids.length], data: positions },
          },
        });
        const error = maxError(hidden_state!, goldens.floats(`conversation.${state}`));
        assert.ok(error <= TOLERANCE, `${state}: ${error}`);
      }
    });
  });
}

describe("smartResize()", () => {
  const limits = { factor: 28, minPixels: 3136, maxPixels: 12_845_056 };
  it("keeps proportions in multiples of a token's side", () => {
    assert.deepEqual(smartResize({ width: 384, height: 384 }, limits), { width: 392, height: 392 });
    assert.deepEqual(smartResize({ width: 512, height: 288 }, limits), { width: 504, height: 280 });
  });
  it("enlarges what is too small and reduces what is too large", () => {
    assert.deepEqual(smartResize({ width: 10, height: 20 }, limits), { width: 56, height: 84 });
    assert.deepEqual(smartResize({ width: 8000, height: 4000 }, limits), { width: 5068, height: 2520 });
  });
});

describe("parseQwenVisionConfig()", () => {
  const parse = (changes: object) =>
    parseQwenVisionConfig(
      { depth: 32, hidden_size: 1280, num_heads: 16, out_hidden_size: 3584, ...changes },
      { architecture: "qwen2_5_vl", path: "text_encoder/config.json" },
    );

  it("reads the options that Qwen-Image-Edit's tower was published with", () => {
    const published = {
      ...{ depth: 32, fullatt_block_indexes: [7, 15, 23, 31], hidden_act: "silu", hidden_size: 1280 },
      ...{ in_channels: 3, in_chans: 3, initializer_range: 0.02, intermediate_size: 3420 },
      ...{ model_type: "qwen2_5_vl", num_heads: 16, out_hidden_size: 3584, patch_size: 14 },
      ...{ spatial_merge_size: 2, spatial_patch_size: 14, temporal_patch_size: 2, tokens_per_second: 2 },
      ...{ torch_dtype: "float32", window_size: 112 },
    };
    const { headDim, windows } = parse(published);
    assert.deepEqual([headDim, windows?.side], [80, 4]);
  });

  it("refuses what no tower has", () => {
    assertRefused(() => parse({ window_size: 20 }), /'window_size' must hold a token.*20$/);
    assertRefused(() => parse({ num_heads: 3 }), /'hidden_size' must give each of 3 heads a multiple of 4/);
    assertRefused(() => parse({ in_channels: 4 }), /'in_channels'.*three channels/);
    assertRefused(() => parse({ surprise: 1 }), /no option 'surprise'/);
  });
});
