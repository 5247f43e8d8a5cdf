// Compares FLUX.1 Kontext, and FLUX.2 klein with a large image, with diffusers' pipelines. Images of a
// megapixel take time.
import { goldenPath } from "../../goldens/golden.ts";
import { ChangedCheckpoint } from "./changed_checkpoint.ts";
import { describeReferences } from "./reference_images.ts";

describeReferences("kontext", {
  make: () =>
    new ChangedCheckpoint(goldenPath("flux/tiny-dev"), {
      index: { _class_name: "FluxKontextPipeline" },
      components: { vae: goldenPath("references/kontext/vae") },
    }),
  together: ["picture.wide", "picture.second"],
});

describeReferences("klein", {
  make: () => new ChangedCheckpoint(goldenPath("flux2/tiny-base"), {}),
  only: (id) => id === "picture.large",
});
