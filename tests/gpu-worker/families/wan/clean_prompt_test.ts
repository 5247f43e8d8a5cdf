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

  it("repairs wrongly decoded text and entities as ftfy does", () => {
    const pairs: [prompt: string, cleaned: string][] = JSON.parse(
      Deno.readTextFileSync(goldenPath("wan/mojibake.json")),
    );
    assert.deepEqual(pairs.map(([prompt]) => cleanPrompt(prompt)), pairs.map(([, cleaned]) => cleaned));
  });

  it("takes time that grows with the length of a text, however it is made", () => {
    // Each of these texts takes seconds or more if every round undoes one layer or looks at the whole rest.
    assert.equal(cleanPrompt(`&amp;${"amp;".repeat(200_000)}`), "&");
    assert.equal(cleanPrompt("&#3&#56;;".repeat(50_000)), "&".repeat(50_000));
    assert.equal(cleanPrompt("â€™".repeat(100_000)), "'".repeat(100_000));
    assert.equal(cleanPrompt("&".repeat(500_000)).length, 500_000);
  });

  it("puts a replacement character in the place of half a surrogate pair", () => {
    assert.equal(cleanPrompt("a \ud83d cat 🦊"), "a \ufffd cat 🦊");
  });
});
