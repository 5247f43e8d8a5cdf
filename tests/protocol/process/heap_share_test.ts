import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { heapShare } from "../../../protocol/process/heap_share.ts";

describe("heapShare()", () => {
  it("is the given number of bytes, or an eighth of a small heap", () => {
    assert.equal(heapShare(128 * 2 ** 20, 4096 * 2 ** 20), 128 * 2 ** 20);
    assert.equal(heapShare(128 * 2 ** 20, 512 * 2 ** 20), 64 * 2 ** 20);
    assert.ok(heapShare(1000) === 1000);
  });
});
