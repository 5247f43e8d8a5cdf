// Settings in AUTOMATIC1111's text form, read as its web UI reads them.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readInfotext } from "../../../routes/a1111/read_infotext.ts";

describe("readInfotext()", () => {
  it("reads prompts of several lines, sizes and quoted values", () => {
    const text = [
      "a cat, (fluffy:1.2)",
      "<lora:style:0.7>",
      "Negative prompt: blurry,",
      "Steps: 3, ugly",
      'Steps: 20, Sampler: DPM++ 2M, CFG scale: 7, Size: 512x768, Hashes: "a: 1, b: \\"2\\"", Version: v1',
    ].join("\n");
    assert.deepEqual(readInfotext(text), {
      Prompt: "a cat, (fluffy:1.2)\n<lora:style:0.7>",
      "Negative prompt": "blurry,\nSteps: 3, ugly",
      Steps: "20",
      Sampler: "DPM++ 2M",
      "CFG scale": "7",
      "Size-1": "512",
      "Size-2": "768",
      Hashes: 'a: 1, b: "2"',
      Version: "v1",
    });
  });

  it("takes a last line of fewer than three fields for a part of the prompt", () => {
    assert.deepEqual(readInfotext("a cat\nSteps: 20, Seed: 1"), {
      Prompt: "a cat\nSteps: 20, Seed: 1",
      "Negative prompt": "",
    });
    assert.deepEqual(readInfotext(""), {});
  });

  it("looks at no character of a long text more often than at one of a short text", () => {
    // Otherwise each of these takes minutes.
    for (const text of ["a".repeat(1e6), `"${'\\"'.repeat(5e5)}`, "a:".repeat(5e5), 'a:"'.repeat(3e5)]) {
      assert.equal(typeof readInfotext(text), "object");
    }
  });
});
