import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { chooseWildcards, withChosenPrompts } from "../../../gpu-worker/request/wildcards.ts";
import type { GenerateRequest } from "../../../gpu-worker/request/generate_request.ts";

describe("chooseWildcards()", () => {
  it("chooses the same by the same seed, and every text by some seed", () => {
    const prompt = "a {red|blue|green} {cat|dog}{| at night}";
    const chosen = Array.from({ length: 200 }, (_, seed) => chooseWildcards(prompt, seed));
    assert.deepEqual(chosen, Array.from({ length: 200 }, (_, seed) => chooseWildcards(prompt, seed)));
    assert.equal(new Set(chosen).size, 12);
    assert.ok(chosen.every((text) => /^a (red|blue|green) (cat|dog)( at night)?$/.test(text)));
  });

  it("tells large seeds apart", () => {
    const prompt = `{${Array.from({ length: 100 }, (_, i) => i).join("|")}}`;
    const seeds = [0, 1, 2 ** 32, 2 ** 33, 2 ** 52, Number.MAX_SAFE_INTEGER];
    assert.equal(new Set(seeds.map((seed) => chooseWildcards(prompt, seed))).size, seeds.length);
  });

  it("chooses inner groups first, and leaves braces without a bar", () => {
    for (let seed = 0; seed < 20; seed++) {
      assert.match(chooseWildcards("{a|{b|c}} {d} {", seed), /^[abc] \{d\} \{$/);
    }
  });
});

describe("chooseWildcards() of long prompts", () => {
  it("reads each place once, however the braces stand", () => {
    const open = `{${"a|".repeat(15_999)}`;
    assert.equal(chooseWildcards(open, 1), open);
    assert.equal(chooseWildcards("{".repeat(32_000), 1), "{".repeat(32_000));
    assert.equal(chooseWildcards(`${"{a|".repeat(8000)}${"}".repeat(8000)}`, 1).replaceAll("a", ""), "");
    assert.match(chooseWildcards("{a|b}".repeat(6400), 1), /^[ab]{6400}$/);
    // What holds braces is no group.
    assert.equal(chooseWildcards("{a|{b}} }{", 1), "{a|{b}} }{");
  });
});

describe("withChosenPrompts()", () => {
  it("gives the request that draws the same picture by itself", () => {
    const request = { prompt: "{a|b}", negativePrompt: "{c|d}", seed: 3 } as GenerateRequest;
    assert.equal(withChosenPrompts(request), request);
    const chosen = withChosenPrompts({ ...request, wildcards: true });
    assert.deepEqual(Object.keys(chosen), ["prompt", "negativePrompt", "seed"]);
    assert.match(chosen.prompt + chosen.negativePrompt, /^[ab][cd]$/);
  });
});
