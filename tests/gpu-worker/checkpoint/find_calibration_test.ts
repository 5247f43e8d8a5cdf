import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import { calibrationPath } from "../../../gpu-worker/checkpoint/find_calibration.ts";
import { modelDigest } from "../../../gpu-worker/checkpoint/model_digest.ts";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { modelInfo } from "../../../gpu-worker/model/model_info.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { PROJECT_FOLDER } from "../../../protocol/process/project_folder.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { ChangedCheckpoint } from "../pipeline/changed_checkpoint.ts";

const EMOJI = "models/emoji";
const FILE = `${EMOJI}/calibration.json`;
const OTHER = goldenPath("flux/tiny-dev");

let folder: string;
before(() => {
  folder = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(folder, { recursive: true }));

const digestOf = (folder: string) => modelDigest(Checkpoint.open(folder));

function methodOf(model: string, options: Parameters<typeof describeModel>[1] = {}) {
  return completeRequest({ prompt: "owl", seed: 1 }, describeModel(model, options).reading).sampler.method;
}

describe("describeModel() with a calibration", () => {
  it("uses the one beside the checkpoint", () => {
    const { reading, warnings } = describeModel(EMOJI);
    assert.equal(reading.calibration?.path, join(Deno.cwd(), FILE));
    assert.deepEqual(warnings, []);
    assert.equal(methodOf(EMOJI), "calibrated");
    assert.equal(methodOf(OTHER), "spectrum");
  });

  it("refuses a named one of another model, naming both digests, unless forced", () => {
    const [own, other] = [digestOf(EMOJI), digestOf(OTHER)];
    assert.throws(() => describeModel(OTHER, { calibration: FILE }), {
      name: "CheckpointError",
      message: `Cannot use calibration ${FILE} as it is of models/emoji with digest ${own}, ` +
        `but ${OTHER} has digest ${other}. Try deno task calibrate, or --force-calibration`,
    });
    const forced = { calibration: FILE, forceCalibration: true };
    assert.equal(methodOf(OTHER, forced), "calibrated");
  });

  it("takes the same weights under another schedule for another model", () => {
    const scheduler = { _class_name: "FlowMatchEulerDiscreteScheduler", shift: 7 };
    using changed = new ChangedCheckpoint(EMOJI, { scheduler });
    assert.throws(() => describeModel(changed.folder, { calibration: FILE }), {
      message: /^Cannot use calibration .* as it is of models\/emoji with digest \w+, but .* has digest/,
    });
    const { reading, warnings } = describeModel(changed.folder);
    assert.equal(reading.calibration, undefined);
    assert.equal(warnings.length, 1);
  });

  it("refuses a named one that is missing or damaged", () => {
    const missing = join(folder, "missing.json");
    assert.throws(() => describeModel(EMOJI, { calibration: missing }), /missing\.json as it does not exist/);
    const cut = join(folder, "cut.json");
    Deno.writeTextFileSync(cut, Deno.readTextFileSync(FILE).slice(0, 5000));
    assert.throws(
      () => describeModel(EMOJI, { calibration: cut }),
      /cut\.json as it is not JSON, or was cut off/,
    );
  });

  it("leaves out the checkpoint's own with a warning where it does not fit: published settings", () => {
    const copy = join(folder, "copy");
    Deno.mkdirSync(copy);
    for (const { name } of Deno.readDirSync(OTHER)) {
      Deno.symlinkSync(join(OTHER, name), join(copy, name));
    }
    Deno.copyFileSync(FILE, join(copy, "calibration.json"));
    const { reading, warnings } = describeModel(copy);
    assert.equal(reading.calibration, undefined);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /it is of models\/emoji with digest/);
    assert.equal(methodOf(copy), "spectrum");
  });

  it("counts towards a picture's digest, not towards the checkpoint's own", () => {
    const lines = Deno.readTextFileSync(FILE).replace(/"guidedShare": [\d.]+/, '"guidedShare": 0.123');
    const path = join(folder, "other.json");
    Deno.writeTextFileSync(path, lines);
    const plain = describeModel(EMOJI);
    const changed = describeModel(EMOJI, { calibration: path });
    assert.notEqual(modelInfo("m", plain).digest, modelInfo("m", changed).digest);
    assert.equal(plain.reading.calibration?.source.modelDigest, digestOf(EMOJI));
  });
});

describe("calibrationPath()", () => {
  it("is beside a plain folder's files, and in our cache for a snapshot", () => {
    assert.equal(calibrationPath(Checkpoint.open(EMOJI)), join(EMOJI, "calibration.json"));
    const snapshot = join(folder, "models--org--name", "snapshots", "0123");
    Deno.mkdirSync(snapshot, { recursive: true });
    Deno.writeTextFileSync(join(snapshot, "model_index.json"), '{"_class_name": "FluxPipeline"}');
    const path = calibrationPath(Checkpoint.open(snapshot));
    assert.equal(path, join(PROJECT_FOLDER, ".cache", "calibrations", `${digestOf(snapshot)}.json`));
  });
});
