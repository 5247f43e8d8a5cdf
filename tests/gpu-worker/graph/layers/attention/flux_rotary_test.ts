import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { fluxRotaryTables } from "../../../../../gpu-worker/graph/layers/attention/flux_rotary.ts";

describe("fluxRotaryTables()", () => {
  const axesDims = [2, 4, 6];
  const columns = 6;
  const { cos, sin } = fluxRotaryTables({ textTokens: 3, height: 4, width: 5, axesDims });
  const angles = (token: number) =>
    Array.from(
      { length: columns },
      (_, i) => Math.atan2(sin[token * columns + i]!, cos[token * columns + i]!),
    );

  it("has a row for each token", () => {
    assert.equal(cos.length, (3 + 4 * 5) * columns);
    assert.equal(sin.length, cos.length);
  });

  it("leaves text tokens and the first image token where they are", () => {
    for (const token of [0, 1, 2, 3]) assert.deepEqual(angles(token), [0, 0, 0, 0, 0, 0]);
  });

  it("turns image tokens by row, then column, at falling frequencies", () => {
    const [row, column] = [2, 3];
    const expected = [0, row, row / 100, column, column * 10000 ** (-2 / 6), column * 10000 ** (-4 / 6)];
    for (const [i, angle] of angles(3 + row * 5 + column).entries()) {
      // Sine and cosine are rounded to float32.
      assert(Math.abs(angle - expected[i]!) < 1e-6, `channel ${i}: ${angle} instead of ${expected[i]}`);
    }
  });
});
