import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { FreeNames } from "../../../gpu-worker/cli/free_names.ts";

const counted = (name: string) => (count: number) => count === 1 ? name : `${name}-${count}`;

describe("FreeNames", () => {
  it("counts on, in any case of letters and past files that are there", () => {
    const names = new FreeNames();
    const take = (name: string) => names.take(counted(name), (candidate) => candidate === "a-3");
    assert.deepEqual(["a", "A", "a", "a-2", "b"].map(take), ["a", "A-2", "a-4", "a-2-2", "b"]);
  });

  it("looks at a few names for each one, however many were equal", () => {
    const names = new FreeNames();
    let looked = 0;
    const name = (count: number) => {
      looked++;
      return counted("a")(count);
    };
    for (let i = 0; i < 1000; i++) names.take(name);
    assert.ok(looked <= 3000, `looked at ${looked} names`);
  });
});
