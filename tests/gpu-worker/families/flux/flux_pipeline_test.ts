// Compares our FLUX pipeline with diffusers' FluxPipeline: every recorded call, from prompt to picture.
import { describe } from "@std/testing/bdd";
import { goldenPath } from "../../../goldens/golden.ts";
import { referenceCases } from "../../pipeline/reference_cases.ts";

const CHECKPOINTS = {
  "flux/tiny-dev": goldenPath("flux/tiny-dev"),
  "flux/tiny-schnell": goldenPath("flux/tiny-schnell"),
  "emoji": "models/emoji",
};

for (const [name, folder] of Object.entries(CHECKPOINTS)) {
  describe(`FluxPipeline.generate() on ${name}`, () => {
    referenceCases(name, folder);
  });
}
