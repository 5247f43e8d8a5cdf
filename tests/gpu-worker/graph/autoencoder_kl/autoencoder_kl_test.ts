import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  type AutoencoderKLConfig,
  latentScaling,
  parseAutoencoderKLConfig,
} from "../../../../gpu-worker/graph/autoencoder_kl/autoencoder_kl_config.ts";
import { autoencoderKLDecoderGraph } from "../../../../gpu-worker/graph/autoencoder_kl/autoencoder_kl_decoder.ts";
import { autoencoderKLEncoderGraph } from "../../../../gpu-worker/graph/autoencoder_kl/autoencoder_kl_encoder.ts";
import { type Goldens, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { type Component, component } from "../component.ts";
import { runGraph } from "../run_graph.ts";
import { refusalCases, type RefusedOption } from "../refusal.ts";

/**
 * Both sides compute in float32, but sum in another order, which a dozen convolutions magnify to about 2e-6.
 */
const TOLERANCE = 2e-5;
const dtype = "float32";

const DECODED = [
  { goldens: "flux/tiny-dev", folder: "flux/tiny-dev/vae", prefix: "vae.wide" },
  { goldens: "flux/tiny-dev", folder: "flux/tiny-dev/vae", prefix: "vae.tall" },
  { goldens: "flux/tiny-schnell", folder: "flux/tiny-schnell/vae", prefix: "vae.wide" },
  { goldens: "components", folder: "components/vae", prefix: "vae.attention" },
];

const ENCODED = [
  { folder: "flux/tiny-dev/vae", prefix: "vae.dev" },
  { folder: "flux/tiny-schnell/vae", prefix: "vae.schnell" },
  { folder: "components/vae", prefix: "vae.attention" },
];

describe("autoencoderKLDecoderGraph()", () => {
  for (const { goldens: name, folder, prefix } of DECODED) {
    it(`gives diffusers' pixels of ${folder}, case ${prefix}`, async () => {
      const { shape, data, expected } = await decode(component(folder), loadGoldens(name), prefix);
      assert.deepEqual(shape, loadGoldens(name).shape(`${prefix}.decoded`));
      assert(maxError(data, expected) <= TOLERANCE);
    });
  }

  it("gives diffusers' picture of models/emoji", async () => {
    const goldens = loadGoldens("emoji");
    const source = component("../../models/emoji/vae");
    const latent = unpack(goldens, "picture.50_steps.latents", [16, 16]);
    const { sample } = await runGraph(autoencoderKLDecoderGraph({ ...source, dtype }), { latent });
    assert(maxError(sample!.data, goldens.floats("picture.50_steps.decoded")) <= TOLERANCE);
  });

  it("finds attention under the key names of old Stable Diffusion checkpoints", async () => {
    const { config, weights } = component("flux/tiny-dev/vae");
    const old = { to_q: "query", to_k: "key", to_v: "value", "to_out.0": "proj_attn" };
    const rename = (name: string) =>
      Object.entries(old).reduce((n, [present, past]) => n.replace(`.${present}.`, `.${past}.`), name);
    const renamed = new Map([...weights].map(([name, entry]) => [rename(name), entry]));
    assert(renamed.has("decoder.mid_block.attentions.0.proj_attn.weight"));
    const { data, expected } = await decode(
      { config, weights: renamed },
      loadGoldens("flux/tiny-dev"),
      "vae.wide",
    );
    assert(maxError(data, expected) <= TOLERANCE);
  });

  it("computes in float16 only where the config lets it", () => {
    const { config, weights } = component("flux/tiny-dev/vae");
    const build = (force_upcast: boolean, dtype: "float16" | "bfloat16" | "float32") =>
      autoencoderKLDecoderGraph({ config: { ...config, force_upcast }, weights, dtype }).bytes;
    assert.deepEqual(build(true, "float16"), build(true, "float32"));
    assert.deepEqual(build(false, "bfloat16"), build(false, "float32"));
    assert.notDeepEqual(build(false, "float16"), build(false, "float32"));
  });

  const REFUSED: RefusedOption[] = [
    ["up_block_types", ["UpBlock2D", "UpDecoderBlock2D"], /option 'up_block_types.0' of AutoencoderKL/],
    ["up_block_types", ["UpDecoderBlock2D"], /'up_block_types' must have as many entries.*1 and 2/],
    ["act_fn", "elu", /option 'act_fn'/],
    ["norm_num_groups", 3, /'block_out_channels' must be multiples of 'norm_num_groups' \(3\): .* is 4/],
    ["latents_mean", [1, 2], /'latents_mean' and 'latents_std' must both have .* \(16\) entries.*2 and 0/],
    ["scaling_factor", 0, /option 'scaling_factor'/],
    ["layers_per_block", 3, /no tensor 'decoder.up_blocks.0.resnets.2.norm1.weight'/],
    ["use_post_quant_conv", true, /no tensor 'post_quant_conv.weight'/],
    ["block_out_channels", [4, 16], /'decoder.conv_in.weight' must have the shape \[16,16,3,3\]/],
    ["temporal_compression", 4, /no option 'temporal_compression'/],
  ];
  const { config, weights } = component("flux/tiny-dev/vae");
  refusalCases(
    REFUSED,
    (changes) => autoencoderKLDecoderGraph({ config: { ...config, ...changes }, weights, dtype }),
  );
});

describe("autoencoderKLEncoderGraph()", () => {
  for (const { folder, prefix } of ENCODED) {
    it(`gives diffusers' distribution of ${folder}, in the denoiser's scale`, async () => {
      const goldens = loadGoldens("components");
      const source = component(folder);
      const model = autoencoderKLEncoderGraph({ ...source, dtype });
      const { mean, std } = await runGraph(model, { sample: goldens.get(`${prefix}.sample`)! });
      const shape = goldens.shape(`${prefix}.mean`);
      assert.deepEqual(mean!.shape, shape);
      const { scale, shift } = latentScaling(parse(source));
      const expectedMean = perChannel(
        goldens.floats(`${prefix}.mean`),
        shape,
        (v, c) => (v - shift[c]!) / scale[c]!,
      );
      const expectedStd = perChannel(goldens.floats(`${prefix}.std`), shape, (v, c) => v / scale[c]!);
      assert(maxError(mean!.data, expectedMean) <= TOLERANCE);
      assert(maxError(std!.data, expectedStd) <= TOLERANCE);
    });
  }
});

describe("latentScaling()", () => {
  const config = (options: Partial<AutoencoderKLConfig>) =>
    parseAutoencoderKLConfig({ latent_channels: 2, ...options }, "vae/config.json");

  it("undoes FLUX's z = (z - shift_factor) * scaling_factor", () => {
    const scaling = latentScaling(config({ scaling_factor: 0.5, shift_factor: 0.1 }));
    assert.deepEqual(scaling, { scale: [2, 2], shift: [0.1, 0.1] });
  });

  it("undoes SDXL's z = (z - latents_mean) * scaling_factor / latents_std", () => {
    const scaling = latentScaling(config({ scaling_factor: 0.5, latents_mean: [1, 2], latents_std: [3, 4] }));
    assert.deepEqual(scaling, { scale: [6, 8], shift: [1, 2] });
  });

  it("refuses a config with both", () => {
    const both = { latents_mean: [1, 2], latents_std: [3, 4], shift_factor: 0.1 };
    assert.throws(() => config(both), /'shift_factor' and 'latents_mean' exclude each other/);
  });
});

const parse = ({ config }: Component) => parseAutoencoderKLConfig(config, "vae/config.json");

/**
 * Decodes a golden. Its latents are in the autoencoder's scale and are converted to the denoiser's first.
 */
async function decode(source: Component, goldens: Goldens, prefix: string) {
  const { scale, shift } = latentScaling(parse(source));
  const shape = goldens.shape(`${prefix}.latents`);
  const data = perChannel(goldens.floats(`${prefix}.latents`), shape, (v, c) => (v - shift[c]!) / scale[c]!);
  const { sample } = await runGraph(autoencoderKLDecoderGraph({ ...source, dtype }), {
    latent: { shape, data },
  });
  return { ...sample!, expected: goldens.floats(`${prefix}.decoded`) };
}

function perChannel(
  data: Float32Array,
  [, channels = 1, height = 1, width = 1]: readonly number[],
  map: (value: number, channel: number) => number,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(data, (value, i) => map(value, Math.floor(i / (height * width)) % channels));
}

/** Unpacks FLUX's latents [1, height/2 * width/2, channels * 4] to [1, channels, height, width]. */
function unpack(goldens: Goldens, name: string, [height, width]: [number, number]) {
  const packed = goldens.floats(name);
  const channels = packed.length / (height * width);
  const data = Float32Array.from(packed, (_, i) => {
    const [x, y, c] = [i % width, Math.floor(i / width) % height, Math.floor(i / width / height)];
    const token = (y >> 1) * (width / 2) + (x >> 1);
    return packed[token * channels * 4 + c * 4 + (y & 1) * 2 + (x & 1)]!;
  });
  return { shape: [1, channels, height, width], data };
}
