import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { amplifyDifference, measureDifference } from "../../../routes/page/browser/image_difference.js";

describe("measureDifference()", () => {
  it("measureDifference() is infinite for equal pictures", () => {
    assert.deepEqual(measureDifference(picture([9, 9, 9]), picture([9, 9, 9])), {
      psnr: Infinity,
      largest: 0,
    });
  });

  it("measureDifference() is 10 log10(255^2 / mse) over colours, leaving alpha out", () => {
    const { psnr, largest } = measureDifference(picture([10, 20, 30], 255), picture([13, 20, 26], 0));
    // mse = (9 + 0 + 16) / 3; rounding of a double.
    assert.ok(Math.abs(psnr - 10 * Math.log10(255 ** 2 / (25 / 3))) < 1e-12);
    assert.equal(largest, 4);
  });

  it("measureDifference() refuses pictures of different sizes", () => {
    const wide = { width: 2, height: 1, data: new Uint8ClampedArray(8) };
    assert.throws(() => measureDifference(picture([0, 0, 0]), wide), /1x1 and 2x1/);
  });
});

describe("amplifyDifference()", () => {
  it("amplifyDifference() multiplies, clips and is opaque", () => {
    const data = amplifyDifference(picture([10, 20, 30], 0), picture([12, 20, 230], 0), { gain: 8 });
    assert.deepEqual([...data], [16, 0, 255, 255]);
  });
});

function picture(rgb: [number, number, number], alpha = 255) {
  return { width: 1, height: 1, data: new Uint8ClampedArray([...rgb, alpha]) };
}
