// Decodes videos frame by frame and in tiles, and checks what stays in memory after the reader has stopped.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseAutoencoderKLWanConfig } from "../../../../gpu-worker/graph/wan_vae/wan_vae_config.ts";
import { wanVaeDecoder } from "../../../../gpu-worker/graph/wan_vae/wan_vae_decoder.ts";
import type { VideoTiling } from "../../../../gpu-worker/vae/video_tiling.ts";
import { decodeWan } from "../../../../gpu-worker/vae/decode_wan.ts";
import { liveHandles, Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";

type Four = [number, number, number, number];

/** Checkpoints, the tiles of their goldens, and tiles that hold a small video whole. */
const TILED: [name: string, tiling: VideoTiling, single: VideoTiling][] = [
  ["wan/tiny-euler", { side: 16, stride: 8 }, { side: 20, stride: 8 }],
  ["wan/tiny-ti2v", { side: 32, stride: 16 }, { side: 40, stride: 16 }],
];

function tinyDecoder(name = "wan/tiny-euler") {
  const { config: json, weights } = component(`${name}/vae`);
  const config = parseAutoencoderKLWanConfig(json, "vae/config.json");
  return {
    ...wanVaeDecoder({ config, weights }),
    scale: config.spatialScale,
    patchSize: config.patchSize,
  };
}

describe("decodeWan()", () => {
  for (const [name, tiling, single] of TILED) {
    it(`decodes in tiles as diffusers does, and small videos whole: ${name}`, async () => {
      const goldens = loadGoldens(name);
      const { graph, caches, scale, patchSize } = tinyDecoder(name);
      using runtime = Runtime.open();
      using vae = await runtime.createSession(graph);
      const decode = async (name: string, tiling: VideoTiling | undefined) => {
        const [channels, frames, height, width] = goldens.shape(`vae.${name}.latents`) as Four;
        const video = {
          size: { channels, frames, height, width },
          data: goldens.floats(`vae.${name}.latents`),
        };
        const pictures: Float32Array[] = [];
        const decoder = { runtime, vae, caches, scale, patchSize, tiling };
        for await (const { data } of decodeWan(decoder, video)) pictures.push(data.slice());
        return pictures;
      };
      const [, count, rows, columns] = goldens.shape("vae.tiled.decoded") as Four;
      const expected = goldens.floats("vae.tiled.decoded");
      const tiled = await decode("tiled", tiling);
      assert.equal(tiled.length, count);
      for (const [i, picture] of tiled.entries()) {
        const area = rows * columns;
        for (const colour of [0, 1, 2]) {
          const start = (colour * count + i) * area;
          const plane = picture.subarray(colour * area, (colour + 1) * area);
          // The tolerance of whole frames: see autoencoder_kl_wan_test.ts.
          assert.ok(maxError(plane, expected.subarray(start, start + area)) <= 2e-5, `frame ${i}`);
        }
      }
      const whole = await decode("tiled", undefined);
      assert.ok(
        maxError(tiled.at(-1)!, whole.at(-1)!) > 1e-4,
        "tiles alter the picture, or nothing would be shown",
      );
      assert.deepEqual(await decode("clip", single), await decode("clip", undefined));
    });
  }

  it("holds nothing once its signal is aborted or nobody asks any more", async () => {
    const { graph, caches } = tinyDecoder();
    using runtime = Runtime.open();
    using vae = await runtime.createSession(graph);
    const before = liveHandles();
    const size = { channels: 4, frames: 4, height: 4, width: 4 };
    const data = new Float32Array(4 * 4 * 4 * 4);
    const controller = new AbortController();
    const frames = decodeWan({ runtime, vae, caches, scale: 4 }, { size, data, signal: controller.signal });
    const abort = async () => {
      for await (const _frame of frames) controller.abort(new Error("enough"));
    };
    await assert.rejects(abort(), /enough/);
    assert.deepEqual(liveHandles(), before);
    for (const tiling of [undefined, { side: 8, stride: 8 }]) {
      const decoder = { runtime, vae, caches, scale: 4, tiling };
      for await (const _frame of decodeWan(decoder, { size, data })) break;
      assert.deepEqual(liveHandles(), before);
    }
  });
});
