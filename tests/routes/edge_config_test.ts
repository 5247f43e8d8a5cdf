import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readEdgeConfig } from "../../routes/edge_config.ts";

describe("readEdgeConfig()", () => {
  const denying = (denied: string) => (name: string) => {
    if (name === denied) throw new Deno.errors.NotCapable(`Requires env access to "${name}"`);
    return undefined;
  };

  it("starts without the permission for model names, but not without one that guards", () => {
    assert.deepEqual(readEdgeConfig(denying("SPECTRUM_MODEL_ALIASES")).aliases, []);
    for (const name of ["SPECTRUM_API_KEYS", "SPECTRUM_WORKER_SECRET", "SPECTRUM_URL_SECRET"]) {
      assert.throws(() => readEdgeConfig(denying(name)), Deno.errors.NotCapable);
    }
  });
});
