// Long videos need no more memory than short ones.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { decodeInProcess } from "../../vae/decode_in_process.ts";

const SIDE = 256;
const MIB = 2 ** 20;
/** Pages that the allocators keep between runs. The floats of 48 frames alone would be 36 MiB. */
const SLACK = 20 * MIB;

describe("decodeHunyuanVideo()", () => {
  it("takes no more memory for 81 frames than for 33, beside the video's bytes", async () => {
    const short = await decodeInProcess("hunyuan_video/tiny-distilled/vae", { numFrames: 33, side: SIDE });
    const long = await decodeInProcess("hunyuan_video/tiny-distilled/vae", { numFrames: 81, side: SIDE });
    const output = long.bytes - short.bytes;
    assert.equal(output, 48 * SIDE * SIDE * 3);
    const grown = long.peak - short.peak;
    assert.ok(grown <= output + SLACK, `grew by ${grown / MIB} MiB, ${output / MIB} of them output`);
  });
});
