import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { SAMPLING_FLAGS, SAMPLING_HELP } from "../../../gpu-worker/flags/sampling_flags.ts";
import { samplerFromWire, samplerToWire, spectrumFields } from "../../../protocol/wire/sampler_fields.ts";
import { OPTIONS, SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";

describe("the table of sampler options", () => {
  it("goes to the wire and back, option by option", () => {
    for (const defaults of Object.values(SAMPLER_DEFAULTS)) {
      const options = { ...defaults, fullSteps: [0, 4] };
      const read = spectrumFields.parse(samplerToWire(options));
      assert.deepEqual(samplerFromWire(read), options);
    }
  });

  it("bounds each option on the wire", () => {
    for (const { wire, integer, min, max } of OPTIONS) {
      const takes = (value: number) => spectrumFields.safeParse({ [wire]: value }).success;
      assert.deepEqual([takes(min), takes(min - 1)], [true, false], wire);
      if (max !== undefined) assert.deepEqual([takes(max), takes(max + 1)], [true, false], wire);
      assert.equal(takes(min + 0.5), !integer, wire);
    }
  });

  it("names each option once in each spelling, and gives each a flag with help", () => {
    for (const key of ["name", "wire", "flag"] as const) {
      assert.equal(new Set(OPTIONS.map((option) => option[key])).size, OPTIONS.length);
    }
    for (const { flag, help } of OPTIONS) {
      assert.equal(SAMPLING_FLAGS[flag], "number");
      assert.match(SAMPLING_HELP, new RegExp(`--${flag} .*${help.slice(0, 12)}`));
    }
  });
});
