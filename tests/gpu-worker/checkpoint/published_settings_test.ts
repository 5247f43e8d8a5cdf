// --model alone gives the published settings, even if two checkpoints differ only in name.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { readModel } from "../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { ChangedCheckpoint } from "../pipeline/changed_checkpoint.ts";

const settings = (folder: string) => {
  const { steps, guidanceScale, width } = readModel(folder).reading.defaults;
  return { steps, guidanceScale, width };
};

describe("publishedSettings()", () => {
  it("publishedSettings() go by the snapshot's repository", () => {
    const own = settings(goldenPath("sd3/tiny-large"));
    using checkpoint = new ChangedCheckpoint(goldenPath("sd3/tiny-large"), {});
    const cache = Deno.makeTempDirSync();
    const repository = (name: string) => {
      const snapshots = join(cache, `models--stabilityai--${name}`, "snapshots");
      Deno.mkdirSync(snapshots, { recursive: true });
      Deno.symlinkSync(checkpoint.folder, join(snapshots, "0123"));
      return join(snapshots, "0123");
    };
    try {
      const large = settings(repository("stable-diffusion-3.5-large"));
      const turbo = settings(repository("stable-diffusion-3.5-large-turbo"));
      assert.deepEqual([own.steps, own.guidanceScale], [50, 7]);
      assert.deepEqual(large, own);
      assert.deepEqual(turbo, { ...own, steps: 4, guidanceScale: 0 });
    } finally {
      Deno.removeSync(cache, { recursive: true });
    }
  });

  it("publishedSettings() go by where diffusers says that a saved checkpoint came from", () => {
    const index = { _name_or_path: "stabilityai/sdxl-turbo" };
    using turbo = new ChangedCheckpoint(goldenPath("sdxl/tiny-sdxl"), { index });
    assert.deepEqual(settings(turbo.folder), { steps: 1, guidanceScale: 0, width: 512 });
  });

  it("publishedSettings() leave the last word to spectrum.json", () => {
    const index = { _name_or_path: "stabilityai/sd-turbo" };
    using turbo = new ChangedCheckpoint(goldenPath("sdxl/tiny-sd21"), { index });
    Deno.writeTextFileSync(join(turbo.folder, "spectrum.json"), '{"steps": 2}');
    assert.deepEqual(settings(turbo.folder), { steps: 2, guidanceScale: 0, width: 512 });
  });

  it("publishedSettings() of FLUX go by the config: dev has a guidance embedding, schnell none", () => {
    const { steps: dev } = settings(goldenPath("flux/tiny-dev"));
    const { steps: schnell } = settings(goldenPath("flux/tiny-schnell"));
    assert.deepEqual([dev, schnell], [50, 4]);
  });
});
