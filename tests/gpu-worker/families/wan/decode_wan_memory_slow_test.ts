// Long videos need no more memory than short ones.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { decodeInProcess } from "../../vae/decode_in_process.ts";

const SIDE = 320;
const MIB = 2 ** 20;
/** Pages that the allocators keep between runs. The floats of 48 frames alone would be 56 MiB. */
const SLACK = 24 * MIB;

describe("decodeWan()", () => {
  it("takes no more memory for 65 frames than for 17, beside the video's bytes", async () => {
    const short = await decodeInProcess("wan/tiny-unipc/vae", { numFrames: 17, side: SIDE });
    const long = await decodeInProcess("wan/tiny-unipc/vae", { numFrames: 65, side: SIDE });
    const grown = long.peak - short.peak;
    const output = long.bytes - short.bytes;
    assert.equal(output, 48 * SIDE * SIDE * 3);
    assert.ok(grown <= output + SLACK, `grew by ${grown / MIB} MiB, ${output / MIB} of them output`);
  });
});
