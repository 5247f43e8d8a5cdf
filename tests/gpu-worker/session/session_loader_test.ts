// Offloading gives the same picture with less memory.
import { describe, it } from "@std/testing/bdd";
import { assertOffloads } from "./assert_offloads.ts";

describe("openPipeline() with offload", () => {
  it("holds one stage at a time and draws the same picture, twice", () => assertOffloads("flux/tiny-dev"));
});
