// Optimized graphs on disk give the same picture in other families than FLUX.
import { describe, it } from "@std/testing/bdd";
import { assertSamePicture } from "./graph_cache_pictures.ts";

describe("GraphCache gives the picture bit for bit, while storing and from the store, of", () => {
  for (const model of ["flux/tiny-schnell", "sd3/tiny-large", "sdxl/tiny-sdxl"]) {
    it(model, () => assertSamePicture(model));
  }
});
