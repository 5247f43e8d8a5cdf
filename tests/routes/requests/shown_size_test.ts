// The edge must see an image as the worker's decoder does, or say that it cannot.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { readImageSize } from "../../../gpu-worker/media/decode_image.ts";
import { shownSize } from "../../../routes/requests/shown_size.ts";

const plain = () => sharp({ create: { width: 40, height: 24, channels: 3, background: "#808080" } });
const decoded = (bytes: Uint8Array) => readImageSize(bytes, { multiple: 1 });

describe("shownSize()", () => {
  for (const format of ["png", "jpeg", "webp", "gif"] as const) {
    it(`tells the size of a ${format}`, async () => {
      assert.deepEqual(shownSize(await plain().toFormat(format).toBuffer()), { width: 40, height: 24 });
    });
  }

  for (const format of ["png", "jpeg", "webp", "tiff"] as const) {
    it(`turns a ${format} as its EXIF says, or leaves it to the decoder`, async () => {
      for (let orientation = 1; orientation <= 8; orientation++) {
        const bytes = await plain().withMetadata({ orientation }).toFormat(format).toBuffer();
        const seen = shownSize(bytes);
        if (seen !== undefined) assert.deepEqual(seen, await decoded(bytes), `orientation ${orientation}`);
        if (format === "jpeg") assert.notEqual(seen, undefined);
      }
    });
  }

  it("returns undefined for a file that is not an image", () => {
    assert.equal(shownSize(new Uint8Array()), undefined);
    assert.equal(shownSize(new TextEncoder().encode("no image")), undefined);
  });
});
