import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { until } from "./until.ts";

describe("until()", () => {
  it("returns the condition's first truthy value", async () => {
    let looks = 0;
    assert.equal(await until(() => ++looks === 3 && "found", { every: 0 }), "found");
    assert.equal(await until(() => Promise.resolve(7)), 7);
    await assert.rejects(
      until(() => {
        throw new TypeError("broken");
      }),
      TypeError,
    );
  });

  it("gives up with the condition's text, even where the condition never answers", async () => {
    await assert.rejects(until(() => false, { within: 20 }), /not true within 20 ms: \(\) ?=> ?false/);
    await assert.rejects(until(() => new Promise(() => {}), { within: 20 }), /within 20 ms/);
  });
});
