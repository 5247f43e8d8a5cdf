import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseModelName } from "../../../protocol/wire/model_name.ts";
import {
  byCheckpoint,
  byLoras,
  describeLoras,
  describeWeights,
  nameLoras,
  splitModelName,
} from "../../../routes/page/browser/model_names.js";

const NAMES = [
  "models/emoji",
  "org/a+b",
  "models/emoji+style.safetensors",
  "models/emoji+loras/style.safetensors:0.7+detail.safetensors",
  "a+b+c.safetensors:-1",
];

describe("the page's model names", () => {
  it("splitModelName() splits names as the worker's parseModelName() does", () => {
    for (const id of NAMES) {
      const { name, loras } = parseModelName(id);
      const { checkpoint, loras: found } = splitModelName(id);
      assert.equal(checkpoint, name);
      assert.deepEqual(found.map(({ file, weight }) => ({ path: file, weight: Number(weight) })), loras);
    }
  });

  it("describeLoras() leaves out folders, endings and the weight 1", () => {
    assert.deepEqual(NAMES.map(describeLoras), ["None", "None", "style", "style 0.7 + detail", "c -1"]);
  });

  it("byLoras() groups models that differ only in weights", () => {
    const ids = ["a", "a+x.safetensors:0.5", "a+x.safetensors", "a+x.safetensors+y.safetensors:2"];
    const groups = [...byLoras(ids.map((id) => ({ id }))).values()].map((models) =>
      models.map(({ id }) => id)
    );
    assert.deepEqual(groups, [["a"], ["a+x.safetensors:0.5", "a+x.safetensors"], [ids[3]]]);
    assert.deepEqual(ids.map(nameLoras), ["None", "x", "x", "x + y"]);
    assert.deepEqual(ids.map(describeWeights), ["", "0.5", "1", "1 + 2"]);
  });

  it("byCheckpoint() keeps the service's order", () => {
    const ids = ["b+x.safetensors", "a", "b", "a+y.safetensors"];
    const groups = [...byCheckpoint(ids.map((id) => ({ id })))];
    assert.deepEqual(groups.map(([name, models]) => [name, models.map(({ id }) => id)]), [
      ["b", ["b+x.safetensors", "b"]],
      ["a", ["a", "a+y.safetensors"]],
    ]);
  });
});
