// Reads Hugging Face's variables like huggingface_hub, including values that no shell has expanded.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  cleanToken,
  hubCacheFolder,
  hubHome,
  hubToken,
  hubTokenPath,
  isHubOffline,
  needsNamedToken,
} from "../../../gpu-worker/checkpoint/hub_cache.ts";

const reading = (variables: Record<string, string>) => (name: string) =>
  ({ HOME: "/home/me", ...variables })[name];

describe("hubCacheFolder()", () => {
  const cases: [Record<string, string>, string][] = [
    [{}, "/home/me/.cache/huggingface/hub"],
    [{ HF_HUB_CACHE: "~/hub" }, "/home/me/hub"],
    [{ HF_HUB_CACHE: "~" }, "/home/me"],
    [{ HF_HUB_CACHE: "~other/hub" }, "~other/hub"],
    [{ HF_HUB_CACHE: "$DISK/hub", DISK: "/data" }, "/data/hub"],
    [{ HF_HUB_CACHE: "${DISK}/$NOTHING/hub", DISK: "/data" }, "/data/$NOTHING/hub"],
    [{ HUGGINGFACE_HUB_CACHE: "~/old" }, "/home/me/old"],
    [{ HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/new" }, "/new"],
    [{ HF_HUB_CACHE: "" }, "/home/me/.cache/huggingface/hub"],
    [{ HF_HOME: "~/hf" }, "/home/me/hf/hub"],
    [{ XDG_CACHE_HOME: "/xdg" }, "/xdg/huggingface/hub"],
    [{ XDG_CACHE_HOME: "$HOME/xdg" }, "/home/me/xdg/huggingface/hub"],
  ];
  for (const [variables, folder] of cases) {
    it(`is ${folder} for ${JSON.stringify(variables)}`, () => {
      assert.equal(hubCacheFolder(reading(variables)), folder);
    });
  }
});

describe("switches of the hub", () => {
  it("are on by 1, on, yes or true in any case", () => {
    for (const value of ["1", "ON", "yes", "True"]) {
      assert.ok(isHubOffline(reading({ HF_HUB_OFFLINE: value })), value);
      assert.ok(isHubOffline(reading({ TRANSFORMERS_OFFLINE: value })), value);
      assert.ok(needsNamedToken(reading({ HF_HUB_DISABLE_IMPLICIT_TOKEN: value })), value);
    }
    for (const value of ["", "0", "off", "no", "false", "2"]) {
      assert.ok(!isHubOffline(reading({ HF_HUB_OFFLINE: value })), value);
      assert.ok(!needsNamedToken(reading({ HF_HUB_DISABLE_IMPLICIT_TOKEN: value })), value);
    }
    assert.ok(!isHubOffline(reading({ HF_HUB_OFFLINE: "0", TRANSFORMERS_OFFLINE: "1" })));
  });
});

describe("the hub's token", () => {
  it("lies where HF_TOKEN_PATH says, or in the hub's home", () => {
    assert.equal(hubTokenPath(reading({})), "/home/me/.cache/huggingface/token");
    assert.equal(hubTokenPath(reading({ HF_HOME: "/hf" })), "/hf/token");
    assert.equal(hubTokenPath(reading({ HF_HOME: "/hf", HF_TOKEN_PATH: "~/my/token" })), "/home/me/my/token");
    assert.equal(hubHome(reading({ HF_HOME: "$HOME/hf" })), "/home/me/hf");
  });

  it("is HF_TOKEN or its older name, without line breaks", () => {
    assert.equal(hubToken(reading({})), undefined);
    assert.equal(hubToken(reading({ HF_TOKEN: " hf_a\r\n" })), "hf_a");
    assert.equal(hubToken(reading({ HF_TOKEN: "", HUGGING_FACE_HUB_TOKEN: "hf_b" })), "hf_b");
    assert.equal(hubToken(reading({ HF_TOKEN: "hf_a", HUGGING_FACE_HUB_TOKEN: "hf_b" })), "hf_a");
    assert.equal(cleanToken("\n"), undefined);
  });
});
