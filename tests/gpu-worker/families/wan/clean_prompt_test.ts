import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { cleanPrompt } from "../../../../gpu-worker/families/wan/clean_prompt.ts";
import { goldenPath } from "../../../goldens/golden.ts";

describe("cleanPrompt()", () => {
  const cases: [prompt: string, cleaned: string][] = JSON.parse(
    Deno.readTextFileSync(goldenPath("wan/prompt_clean.json")),
  );
  for (const [prompt, cleaned] of cases) {
    it(`cleans ${JSON.stringify(prompt.slice(0, 60))} as diffusers does`, () =>
      assert.equal(cleanPrompt(prompt), cleaned));
  }

  it("puts a replacement character in the place of half a surrogate pair", () => {
    assert.equal(cleanPrompt("a \ud83d cat 🦊"), "a \ufffd cat 🦊");
  });
});
