import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { fromBfloat16, toBfloat16 } from "../../../gpu-worker/runtime/mod.ts";

describe("bfloat16", () => {
  it("toBfloat16() rounds to nearest, ties to even, as torch.Tensor.to(torch.bfloat16)", () => {
    // Between 1 (0x3f80) and the next value, 1.0078125 (0x3f81), the tie rounds to even;
    // the next tie rounds up to even.
    const cases: [number, number][] = [
      [1, 0x3f80],
      [1.00390625, 0x3f80],
      [1.003907, 0x3f81],
      [1.01171875, 0x3f82],
      [-1.00390625, 0xbf80],
      [0, 0],
      [-0, 0x8000],
      [3.4e38, 0x7f80],
      [Infinity, 0x7f80],
      [-Infinity, 0xff80],
    ];
    for (const [value, bits] of cases) assert.equal(toBfloat16([value])[0], bits, `${value}`);
    assert(Number.isNaN(fromBfloat16(toBfloat16([NaN]))[0]));
  });

  it("fromBfloat16() returns every value exactly", () => {
    const finite = Uint16Array.from({ length: 0x7f80 }, (_, bits) => bits);
    assert.deepEqual(toBfloat16(fromBfloat16(finite)), finite);
  });
});
