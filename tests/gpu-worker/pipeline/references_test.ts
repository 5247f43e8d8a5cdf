// Compares FLUX.2 klein with images, and FLUX.1 Fill, with diffusers' pipelines, and references with Pillow.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type BatchPlace, createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import { flux2Picture } from "../../../gpu-worker/families/flux2/flux2_references.ts";
import { decodeReference } from "../../../gpu-worker/media/decode_reference.ts";
import { resample, type ResampleFilter } from "../../../gpu-worker/media/resample.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { PreparedRun } from "../../../gpu-worker/pipeline/family.ts";
import { NotFiniteError } from "../../../gpu-worker/runtime/mod.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";
import { ChangedCheckpoint } from "./changed_checkpoint.ts";
import { assertReference, completeReference } from "./reference_call.ts";
import { callOf, describeReferences, goldenImage, startOf } from "./reference_images.ts";

describeReferences("klein", {
  make: () => new ChangedCheckpoint(goldenPath("flux2/tiny-base"), {}),
  together: ["picture.two", "picture.second"],
  // It takes 4000 tokens.
  only: (id) => id !== "picture.large",
});

describeReferences("fill", {
  make: () =>
    new ChangedCheckpoint(goldenPath("flux/tiny-dev"), {
      index: { _class_name: "FluxFillPipeline" },
      components: { transformer: goldenPath("references/fill/transformer") },
    }),
  together: ["picture.soft", "picture.second"],
});

describe("pictures with references that are drawn together", () => {
  it("read their own references and features alone, in forecasts too", async () => {
    const id = "spectrum.w_half";
    const call = callOf("klein", id);
    using pipeline = await openPipeline(goldenPath("flux2/tiny-base"));
    const [place, other] = createBatch(2) as [BatchPlace, BatchPlace];
    // The other picture's references are no numbers, which spreads to all that reads them.
    const poisoned: BatchPlace = {
      pictures: 2,
      join: (run, options) => other.join(withPoison(run as PreparedRun) as typeof run, options),
      [Symbol.dispose]: () => other[Symbol.dispose](),
    };
    const request = completeReference(pipeline, call, await startOf(call));
    const runs = [place, poisoned].map(async (batch) => {
      using _place = batch;
      return await pipeline.generate(request, { batch });
    });
    const [drawn, refused] = await Promise.allSettled([runs[0]!, runs[1]!]);
    assert.ok(refused.status === "rejected" && refused.reason instanceof NotFiniteError);
    assert.ok(drawn.status === "fulfilled");
    assertReference(drawn.value, { id, goldens: loadGoldens("references/klein") });
  });
});

function withPoison(run: PreparedRun): PreparedRun {
  return {
    ...run,
    references: run.references!.map((one) => ({ ...one, tokens: one.tokens.map(() => NaN) })),
  };
}

describe("a reference", () => {
  it("is resized as Pillow does, bit by bit", async () => {
    const goldens = loadGoldens("references");
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath("references/goldens.json")));
    const pixels = await decodeReference(await goldenImage("wide"));
    for (const [id, { width, height, filter }] of Object.entries(cases as Record<string, Resized>)) {
      const { data } = await resample(pixels, { width, height, filter });
      assert.deepEqual([...data], [...goldens.ints(`${id}.pixels`)], id);
    }
  });

  it("is reduced and cropped as FLUX.2 klein's class does", async () => {
    const goldens = loadGoldens("references/klein");
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath("references/klein/goldens.json")));
    for (const name of ["wide", "tall", "large"]) {
      const { data, width, height } = await flux2Picture(await goldenImage(name), {
        rules: { sizeMultiple: 16 },
      });
      assert.deepEqual([width, height], cases[`image.${name}`].size);
      const corner = Float32Array.from(
        { length: 3 * 16 * 16 },
        (_, i) => data[Math.floor(i / 256) * width * height + Math.floor(i % 256 / 16) * width + i % 16]!,
      );
      assert.ok(maxError(corner, goldens.floats(`image.${name}.corner`)) < 1e-6, name);
    }
  });
});

interface Resized {
  width: number;
  height: number;
  filter: ResampleFilter;
}
