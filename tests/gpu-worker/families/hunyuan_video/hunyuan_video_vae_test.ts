import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseAutoencoderKLHunyuanVideoConfig } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_vae_config.ts";
import { autoencoderKLHunyuanVideoDecoderGraph } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_vae_decoder.ts";
import { loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { runGraph } from "../../graph/run_graph.ts";
import { refusalCases, type RefusedOption } from "../../graph/refusal.ts";

/** Both sides compute in float32, but sum in another order, which two dozen convolutions magnify. */
const TOLERANCE = 2e-5;
/** Lengths of videos that diffusers decodes in one part. */
const CASES = { "tiny-distilled": [1, 5, 9], "tiny-plain": [1, 5, 13] };

describe("autoencoderKLHunyuanVideoDecoderGraph()", () => {
  for (const [name, lengths] of Object.entries(CASES)) {
    const goldens = loadGoldens(`hunyuan_video/${name}`);
    const source = component(`hunyuan_video/${name}/vae`);
    const { scaling_factor } = parseAutoencoderKLHunyuanVideoConfig(source.config, "vae/config.json");
    for (const frames of lengths) {
      it(`gives diffusers' pixels of ${frames} frames with ${name}`, async () => {
        const prefix = `vae.${frames}_frames`;
        const latents = goldens.floats(`${prefix}.latents`).map((value) => value * scaling_factor);
        const { sample } = await runGraph(autoencoderKLHunyuanVideoDecoderGraph(source), {
          latent: { shape: goldens.shape(`${prefix}.latents`), data: latents },
        });
        assert.deepEqual(sample!.shape, goldens.shape(`${prefix}.decoded`));
        assert.ok(maxError(sample!.data, goldens.floats(`${prefix}.decoded`)) <= TOLERANCE);
      });
    }
  }

  const REFUSED: RefusedOption[] = [
    ["up_block_types", ["UpDecoderBlock3D"], /option 'up_block_types.0' of AutoencoderKLHunyuanVideo/],
    ["up_block_types", ["HunyuanVideoUpBlock3D"], /'up_block_types' must have as many entries.*\(4\).*is 1/],
    ["block_out_channels", [8, 8], /'block_out_channels'.*time is doubled in two blocks/],
    ["act_fn", "elu", /option 'act_fn'/],
    ["norm_num_groups", 3, /'block_out_channels' must be multiples of 'norm_num_groups' \(3\): .* is 4/],
    ["spatial_compression_ratio", 3, /option 'spatial_compression_ratio'/],
    ["spatial_compression_ratio", 32, /'spatial_compression_ratio' must be at most 2\^4.*is 32/],
    ["temporal_compression_ratio", 8, /option 'temporal_compression_ratio'/],
    ["scaling_factor", 0, /option 'scaling_factor'/],
    ["layers_per_block", 2, /no tensor 'decoder.up_blocks.0.resnets.2.norm1.weight'/],
    ["latent_channels", 8, /'post_quant_conv.weight' must have the shape \[8,8,1,1,1\]/],
    ["use_tiling", true, /no option 'use_tiling'/],
  ];
  const { config, weights } = component("hunyuan_video/tiny-distilled/vae");
  refusalCases(
    REFUSED,
    (changes) => autoencoderKLHunyuanVideoDecoderGraph({ config: { ...config, ...changes }, weights }),
  );
});
