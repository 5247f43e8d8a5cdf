import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseMerges } from "../../../../gpu-worker/text/tokenizer/clip_tokenizer_json.ts";

describe("parseMerges()", () => {
  it("skips the version and keeps merges that begin with the same character", () => {
    assert.deepEqual(parseMerges("#version: 0.2\n# #\n## #</w>\na b\n\n"), [["#", "#"], ["##", "#</w>"], [
      "a",
      "b",
    ]]);
  });
});
