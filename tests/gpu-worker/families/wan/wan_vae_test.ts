import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseAutoencoderKLWanConfig } from "../../../../gpu-worker/graph/wan_vae/wan_vae_config.ts";
import { wanVaeDecoder } from "../../../../gpu-worker/graph/wan_vae/wan_vae_decoder.ts";
import { decodeWan } from "../../../../gpu-worker/vae/decode_wan.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { refusalCases, type RefusedOption } from "../../graph/refusal.ts";

/**
 * Both sides compute in float32, but sum in another order, which two dozen convolutions
 * and norms magnify to about 5e-6.
 */
const TOLERANCE = 2e-5;

for (const name of ["tiny-unipc", "tiny-euler", "tiny-ti2v"]) {
  describe(`wanVaeDecoder() of ${name}`, () => {
    const goldens = loadGoldens(`wan/${name}`);
    const source = component(`wan/${name}/vae`);
    const config = parseAutoencoderKLWanConfig(source.config, "vae/config.json");
    const latents = goldens.floats("vae.clip.latents");
    const [channels, frames, height, width] = goldens.shape("vae.clip.latents") as [
      number,
      number,
      number,
      number,
    ];
    const area = height * width;

    const longest = goldens.shape("vae.clip.decoded")[1]!;
    for (const length of [1, 5, 9, 17].filter((length) => length <= longest)) {
      it(`gives diffusers' frames of a video of ${length}`, async () => {
        // make_goldens.py asserts that a shorter video's frames are the first frames of a longer one.
        const steps = (length - 1) / config.temporalScale + 1;
        const data = new Float32Array(channels * steps * area);
        for (let c = 0; c < channels; c++) {
          data.set(latents.subarray(c * frames * area, (c * frames + steps) * area), c * steps * area);
        }
        using runtime = Runtime.open();
        const { graph, caches } = wanVaeDecoder({ ...source, config });
        using vae = await runtime.createSession(graph);
        const planes: Float32Array[] = [];
        const video = { size: { channels, frames: steps, height, width }, data };
        for await (
          const frame of decodeWan({
            runtime,
            vae,
            caches,
            scale: config.spatialScale,
            patchSize: config.patchSize,
          }, video)
        ) {
          assert.deepEqual([frame.height, frame.width], [height, width].map((n) => n * config.spatialScale));
          const area = frame.height * frame.width;
          for (const i of [0, 1, 2]) planes.push(frame.data.slice(i * area, (i + 1) * area));
        }
        const expected = goldens.floats("vae.clip.decoded");
        const [, all, rows, columns] = goldens.shape("vae.clip.decoded") as [number, number, number, number];
        const pixels = rows * columns;
        assert.equal(planes.length, 3 * length);
        for (const [i, plane] of planes.entries()) {
          const start = ((i % 3) * all + Math.floor(i / 3)) * pixels;
          assert(maxError(plane, expected.subarray(start, start + pixels)) <= TOLERANCE, `plane ${i}`);
        }
      });
    }
  });
}

describe("parseAutoencoderKLWanConfig()", () => {
  const { config } = component("wan/tiny-unipc/vae");
  const REFUSED: RefusedOption[] = [
    ["is_residual", "yes", /'is_residual'.*"yes"/],
    ["patch_size", 2, /'scale_factor_spatial' must be what the blocks make \(16\).* 8$/],
    ["out_channels", 12, /'out_channels' must be three colours of each pixel of a patch \(3\).* 12$/],
    [
      "temperal_downsample",
      [true],
      /'temperal_downsample' must have one entry fewer than 'dim_mult' \(3\).* 1$/,
    ],
    ["latents_mean", [0], /'latents_mean' must have 'z_dim' entries \(16\).* 1$/],
    ["scale_factor_spatial", 16, /'scale_factor_spatial' must be what the blocks make \(8\).* 16$/],
    ["scale_factor_temporal", 8, /'scale_factor_temporal' must be what the blocks make \(4\).* 8$/],
    ["use_quant_conv", true, /no option 'use_quant_conv'/],
  ];
  refusalCases(
    REFUSED,
    (changes) => parseAutoencoderKLWanConfig({ ...config, ...changes }, "vae/config.json"),
  );

  it("refuses channels that upsampling could not halve", () => {
    const changes = { decoder_base_dim: 3, dim_mult: [1, 2, 3, 2] };
    assert.throws(
      () => parseAutoencoderKLWanConfig({ ...config, ...changes }, "vae/config.json"),
      /must be even where upsampling halves it.* 9$/,
    );
  });

  it("has the class's defaults: Wan2.1's autoencoder", () => {
    const { channels, temporalScale, spatialScale, latentChannels } = parseAutoencoderKLWanConfig({}, "x");
    assert.deepEqual(channels, [384, 384, 192, 96]);
    assert.deepEqual([temporalScale, spatialScale, latentChannels], [4, 8, 16]);
  });
});
