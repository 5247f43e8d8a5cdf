// Compares tiled decoding with diffusers' AutoencoderKL.enable_tiling(), and
// checks that no tile is too large.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseAutoencoderKLConfig } from "../../../gpu-worker/graph/autoencoder_kl/autoencoder_kl_config.ts";
import { autoencoderKLDecoderGraph } from "../../../gpu-worker/graph/autoencoder_kl/autoencoder_kl_decoder.ts";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import { decodeLatents } from "../../../gpu-worker/vae/decode_latents.ts";
import type { GraphSession } from "../../../gpu-worker/session/session_loader.ts";
import { tiledDecoder } from "../../../gpu-worker/vae/tiled_decoder.ts";
import { Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";

/** float32 through two dozen convolutions and norms, summed in another order. */
const TOLERANCE = 1e-4;

async function decode(vaeTiling: boolean) {
  const goldens = loadGoldens("tiling");
  const checkpoint = Checkpoint.open(goldenPath("flux/tiny-dev"));
  const component = checkpoint.component("vae", "diffusion_pytorch_model");
  using runtime = Runtime.open();
  using session = await runtime.createSession(
    autoencoderKLDecoderGraph({ ...component, dtype: "float32" }),
  );
  const sizes: string[] = [];
  const recorded: GraphSession = {
    inputNames: session.inputNames,
    run: (feeds, options) => {
      sizes.push(feeds["latent"]!.dims.slice(2).join("x"));
      return session.run(feeds, options);
    },
  };
  const config = parseAutoencoderKLConfig(component.config, "vae/config.json");
  const vae = tiledDecoder(recorded, { runtime, config, vaeTiling });
  const data = goldens.floats("tiled.latents");
  const image = await decodeLatents({ runtime, vae }, { dims: [16, 21, 30], data });
  return { image, sizes, expected: goldens.floats("tiled.decoded") };
}

describe("tiledDecoder()", () => {
  it("gives diffusers' picture from tiles that overlap by a quarter", async () => {
    const { image, sizes, expected } = await decode(true);
    assert.deepEqual([image.width, image.height], [60, 42]);
    const error = maxError(image.data, expected);
    assert.ok(error < TOLERANCE, `error ${error}`);
    assert.deepEqual(sizes, ["16x16", "16x16", "16x6", "9x16", "9x16", "9x6"]);
  });

  it("leaves pictures of up to 2048 pixels a side whole unless asked to", async () => {
    const { image, sizes, expected } = await decode(false);
    assert.deepEqual(sizes, ["21x30"]);
    assert.ok(maxError(image.data, expected) > TOLERANCE);
  });
});
