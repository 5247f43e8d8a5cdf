import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { assertGuarded } from "../../../protocol/process/assert_guarded.ts";
import { UsageError } from "../../../protocol/process/usage_error.ts";
import { readWorkerSecret } from "../../../protocol/process/worker_secret.ts";

describe("assertGuarded()", () => {
  it("needs no secret on loopback", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"]) {
      assertGuarded(host, undefined);
    }
  });

  it("needs a secret on any other host, and names the remedy", () => {
    for (
      const host of ["0.0.0.0", "::", "10.0.0.1", "worker.example", "127.0.0.1.example", "localhost.example"]
    ) {
      assert.throws(() => assertGuarded(host, undefined), (error: Error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, /SPECTRUM_WORKER_SECRET.*openssl rand -hex 32/);
        return true;
      });
      assertGuarded(host, "s".repeat(32));
    }
  });
});

describe("readWorkerSecret()", () => {
  it("takes an empty variable for none and refuses a short secret", () => {
    const read = (value: string | undefined) => readWorkerSecret(() => value);
    assert.equal(read(undefined), undefined);
    assert.equal(read(""), undefined);
    assert.equal(read("s".repeat(32)), "s".repeat(32));
    for (const secret of ["s".repeat(31), " ".repeat(40), `s${"\t".repeat(40)}`, "\u200b".repeat(40)]) {
      assert.throws(() => read(secret), /at least 32 characters/);
    }
  });
});
