import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { joinFiles, splitFiles } from "../../../routes/runs/order_images.ts";

describe("joinFiles()", () => {
  it("is undone by splitFiles()", () => {
    const orders = [
      {},
      { image: "a+/=" },
      { image: "a", mask: "b" },
      { references: ["c"] },
      { references: ["c", "d=="] },
      { image: "a", mask: "b", references: ["c", "d"] },
    ];
    for (const files of orders) assert.deepEqual(splitFiles(joinFiles(files)), files);
    assert.equal(joinFiles({}), "");
  });
});
