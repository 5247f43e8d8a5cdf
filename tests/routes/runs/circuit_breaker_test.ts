import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { CircuitBreaker } from "../../../routes/runs/circuit_breaker.ts";

describe("CircuitBreaker", () => {
  it("opens after failures in a row, lets one call through later, and opens longer each time", () => {
    let now = 0;
    const breaker = new CircuitBreaker({ threshold: 2, openMs: 100, maxOpenMs: 300, now: () => now });
    breaker.failed();
    breaker.succeeded();
    breaker.failed();
    assert.equal(breaker.allows(), true);
    for (const openMs of [100, 200, 300, 300]) {
      breaker.failed();
      now += openMs - 1;
      assert.deepEqual([breaker.allows(), breaker.state], [false, "open"]);
      now++;
      assert.deepEqual([breaker.allows(), breaker.allows()], [true, false]);
    }
    breaker.reached();
    assert.deepEqual([breaker.state, breaker.allows()], ["half-open", true]);
    breaker.succeeded();
    assert.equal(breaker.state, "closed");
  });
});
