// Compares videos decoded in parts and tiles with diffusers' AutoencoderKLHunyuanVideo.
// No call may see more than a part.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseAutoencoderKLHunyuanVideoConfig } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_vae_config.ts";
import { autoencoderKLHunyuanVideoDecoderGraph } from "../../../../gpu-worker/families/hunyuan_video/hunyuan_video_vae_decoder.ts";
import type { DecodedImage } from "../../../../gpu-worker/media/decoded_image.ts";
import type { VideoSize } from "../../../../gpu-worker/vae/video_size.ts";
import type { VideoTiling } from "../../../../gpu-worker/vae/video_tiling.ts";
import { decodeHunyuanVideo } from "../../../../gpu-worker/families/hunyuan_video/decode_hunyuan_video.ts";
import type { GraphSession } from "../../../../gpu-worker/session/session_loader.ts";
import { liveHandles, Runtime, type Session } from "../../../../gpu-worker/runtime/mod.ts";
import { randn } from "../../../../sampler/mod.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";

/** float32 through two dozen convolutions and norms, summed in another order. */
const TOLERANCE = 2e-5;

interface VaeCase {
  frames: number;
  tiling?: Record<string, number>;
}

for (const name of ["tiny-distilled", "tiny-plain"]) {
  const folder = `hunyuan_video/${name}`;
  describe(`decodeHunyuanVideo() with ${name}`, () => {
    const goldens = loadGoldens(folder);
    const source = component(`${folder}/vae`);
    const config = parseAutoencoderKLHunyuanVideoConfig(source.config, "vae/config.json");
    const scale = config.spatial_compression_ratio;
    const stack = new DisposableStack();
    let runtime: Runtime;
    let session: Session;
    before(async () => {
      runtime = stack.use(Runtime.open());
      session = stack.use(await runtime.createSession(autoencoderKLHunyuanVideoDecoderGraph(source)));
    });
    after(() => stack.dispose());

    /** Returns the frames and the sizes of the graph's calls. */
    async function decode(video: { size: VideoSize; data: Float32Array }, tiling?: VideoTiling) {
      const runs: string[] = [];
      const vae: GraphSession = {
        inputNames: session.inputNames,
        run: (feeds, options) => {
          runs.push(feeds["latent"]!.dims.slice(2).join("x"));
          return session.run(feeds, options);
        },
      };
      const frames: DecodedImage[] = [];
      for await (const frame of decodeHunyuanVideo(video, { runtime, vae, scale, tiling })) {
        frames.push({ ...frame, data: frame.data.slice() });
      }
      return { frames, runs };
    }

    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${folder}/goldens.json`)));
    const vaeCases = Object.entries(cases as Record<string, VaeCase>).filter(([id]) => id.startsWith("vae."));
    for (const [id, { frames: count, tiling }] of vaeCases) {
      it(`gives diffusers' frames of ${id}`, async () => {
        const [, channels, frames, height, width] = goldens.shape(`${id}.latents`) as [
          number,
          number,
          number,
          number,
          number,
        ];
        const data = goldens.floats(`${id}.latents`).map((value) => value * config.scaling_factor);
        const video = { size: { channels, frames, height, width }, data };
        const { frames: decoded } = await decode(
          video,
          tiling &&
            { side: tiling["tile_sample_min_height"]!, stride: tiling["tile_sample_stride_height"]! },
        );
        assert.equal(decoded.length, count);
        assert.deepEqual([decoded[0]!.height, decoded[0]!.width], [height * scale, width * scale]);
        const expected = goldens.floats(`${id}.decoded`);
        assert.ok(maxError(planar(decoded), expected) <= TOLERANCE);
      });
    }

    it("runs the graph on at most five latent frames and one tile, however long the video", async () => {
      const size = { channels: config.latent_channels, frames: 10, height: 2, width: 3 };
      const data = randn([size.channels, size.frames, size.height, size.width], 1);
      const { frames, runs } = await decode({ size, data });
      // The last part would give a single frame, which belongs to the part before.
      assert.deepEqual([frames.length, runs], [37, ["5x2x3", "5x2x3", "4x2x3"]]);
      const tiles = await decode({ size: { ...size, frames: 1 }, data: data.subarray(0, data.length / 10) }, {
        side: 2 * scale,
        stride: scale,
      });
      assert.deepEqual(tiles.runs, ["1x2x2", "1x2x2", "1x2x1", "1x1x2", "1x1x2", "1x1x1"]);
    });
  });
}

describe("decodeHunyuanVideo()", () => {
  it("holds nothing once its signal is aborted or nobody asks any more", async () => {
    using runtime = Runtime.open();
    using vae = await runtime.createSession(
      autoencoderKLHunyuanVideoDecoderGraph(component("hunyuan_video/tiny-plain/vae")),
    );
    const before = liveHandles();
    const size = { channels: 8, frames: 6, height: 2, width: 2 };
    const data = randn([8, 6, 2, 2], 1);
    const options = { runtime, vae, scale: 4 };
    const controller = new AbortController();
    const frames = decodeHunyuanVideo({ size, data, signal: controller.signal }, options);
    const abort = async () => {
      for await (const _frame of frames) controller.abort(new Error("enough"));
    };
    await assert.rejects(abort(), /enough/);
    assert.deepEqual(liveHandles(), before);
    for await (const _frame of decodeHunyuanVideo({ size, data }, options)) break;
    assert.deepEqual(liveHandles(), before);
  });
});

/** [3, frames, height, width] */
function planar(frames: readonly DecodedImage[]): Float32Array {
  const area = frames[0]!.width * frames[0]!.height;
  const data = new Float32Array(3 * frames.length * area);
  for (const [i, frame] of frames.entries()) {
    for (let c = 0; c < 3; c++) {
      data.set(frame.data.subarray(c * area, (c + 1) * area), (c * frames.length + i) * area);
    }
  }
  return data;
}
