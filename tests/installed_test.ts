import { basename } from "node:path";
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { findProgram, skipWithout } from "./installed.ts";

describe("skipWithout()", () => {
  it("is false where the program is, else the reason, which it prints once", () => {
    assert.equal(basename(findProgram("no-such-program", "sh")!), "sh");
    assert.equal(findProgram(Deno.execPath()), Deno.execPath());
    assert.equal(skipWithout("sh"), false);
    const log = console.log;
    const printed: string[] = [];
    console.log = (line) => printed.push(line);
    try {
      const options = { hint: "get it" };
      const reasons = [1, 2].map(() => skipWithout("no-such-program", options));
      assert.deepEqual(reasons, Array(2).fill("no-such-program is not installed (get it)"));
    } finally {
      console.log = log;
    }
    assert.deepEqual(printed, ["skipped: no-such-program is not installed (get it)"]);
  });
});
