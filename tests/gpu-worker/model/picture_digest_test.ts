import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { modelInfo } from "../../../gpu-worker/model/model_info.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { OpenPipelineOptions } from "../../../gpu-worker/model/open_pipeline_options.ts";
import {
  DECIDES_PICTURE,
  type PictureConditions,
  pictureDigest,
} from "../../../gpu-worker/model/picture_digest.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { goldenPath } from "../../goldens/golden.ts";

const CONDITIONS: PictureConditions = {
  weights: "w",
  provider: "cuda",
  dtype: "bfloat16",
  held: "as-stored",
  vaeTiling: false,
  calibration: undefined,
  runtime: "1.30.0",
  mp4Encoder: undefined,
};
const OTHERS: PictureConditions = {
  weights: "x",
  provider: "cpu",
  dtype: "float16",
  held: "int8",
  vaeTiling: true,
  calibration: "c",
  runtime: "1.31.0",
  mp4Encoder: "wasm",
};
const MODEL = goldenPath("sdxl/tiny-sd15");

/** Each of another value than openPipeline()'s own; `deviceId` and `provider` take a second device. */
const CHANGED: Pick<OpenPipelineOptions, "intraOpThreads" | "offload" | "graphCache"> = {
  intraOpThreads: 2,
  offload: true,
  graphCache: "",
};

let cache: string;
before(() => {
  cache = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(cache, { recursive: true }));

async function bytesOf(options: OpenPipelineOptions): Promise<string> {
  using pipeline = await openPipeline(MODEL, options);
  const request = completeRequest({ prompt: "a crab", seed: 3, steps: 10 }, pipeline.description);
  const { latents, image } = await pipeline.generate(request);
  const hash = createHash("sha256");
  for (const { data } of [latents, image]) hash.update(new Uint8Array(data.buffer));
  return hash.digest("hex");
}

describe("pictureDigest()", () => {
  it("differs by each condition alone", () => {
    const changes = Object.keys(CONDITIONS).map((name) => ({
      ...CONDITIONS,
      [name]: OTHERS[name as keyof PictureConditions],
    }));
    const digests = [CONDITIONS, ...changes].map(pictureDigest);
    assert.equal(new Set(digests).size, Object.keys(CONDITIONS).length + 1);
  });

  it("differs by every option of a loaded model that decides a picture", () => {
    const lora = { path: goldenPath("lora/flux/style.safetensors"), weight: 1 };
    const flux = goldenPath("flux/tiny-dev");
    const digestOf = ({ vaeTiling, ...options }: OpenPipelineOptions) =>
      modelInfo("m", describeModel(flux, options), vaeTiling === undefined ? {} : { vaeTiling }).digest;
    const changes: Partial<Record<keyof OpenPipelineOptions, OpenPipelineOptions[]>> = {
      provider: [{ provider: "webgpu" }, { provider: "cuda" }],
      dtype: [{ provider: "cuda", dtype: "float16" }, { provider: "cuda", dtype: "float32" }],
      loras: [{ loras: [lora] }, { loras: [{ ...lora, weight: 0.5 }] }, { loras: [lora, lora] }],
      parts: [
        { parts: { vae: `${flux}/vae/diffusion_pytorch_model.safetensors` } },
        { parts: { text_encoder: `${flux}/text_encoder/model.safetensors` } },
      ],
      weights: [{ weights: "int8" }, { weights: "int4" }],
      vaeTiling: [{ vaeTiling: true }],
      calibration: [{ calibration: "models/emoji/calibration.json", forceCalibration: true }],
    };
    const deciding = Object.entries(DECIDES_PICTURE).flatMap(([name, decides]) => decides ? [name] : []);
    assert.deepEqual(Object.keys(changes).sort(), deciding.sort());
    const digests = [{}, ...Object.values(changes).flat()].map(digestOf);
    assert.equal(new Set(digests).size, digests.length);
  });

  it("is the loaded model's", async () => {
    using pipeline = await openPipeline(MODEL, { vaeTiling: true });
    assert.equal(
      pipeline.model.digest,
      modelInfo(MODEL, describeModel(MODEL), { vaeTiling: true }).digest,
    );
  });

  it("leaves out settings that change no byte", async () => {
    const plain = await bytesOf({});
    for (const name of ["intraOpThreads", "offload", "graphCache"] as const) {
      assert.equal(DECIDES_PICTURE[name], false);
      const value = name === "graphCache" ? cache : CHANGED[name];
      // The second time, graphs come from the cache.
      for (let i = 0; i < 2; i++) assert.equal(await bytesOf({ [name]: value }), plain, name);
    }
  });
});
