import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parsePromptWeights, weighStates } from "../../../gpu-worker/text/prompt_weights.ts";

describe("parsePromptWeights()", () => {
  const CASES: [prompt: string, parts: [text: string, weight: number][]][] = [
    ["red heart", [["red heart", 1]]],
    ["", [["", 1]]],
    ["(red:1.3) heart", [["red", 1.3], [" heart", 1]]],
    ["a ((red))", [["a ", 1], ["red", 1.21]]],
    ["[blue] [[x]]", [["blue", 1 / 1.1], [" ", 1], ["x", 1 / 1.21]]],
    ["(a (b:2) c)", [["a ", 1.1], ["b", 2.2], [" c", 1.1]]],
    [String.raw`\(red\) \[x\] \\`, [[String.raw`(red) [x] \ `.trim(), 1]]],
    ["(open [both", [["open ", 1.1], ["both", 1]]],
    ["a) b] c:2", [["a) b] c:2", 1]]],
    ["x:2) y", [["x:2) y", 1]]],
    ["(red: 1.5 ) (:", [["red", 1.5], [" ", 1], [":", 1.1]]],
    // What is no number is no weight.
    ["(red:1.2.3) (a:.) (b:.5)", [["red:1.2.3", 1.1], [" ", 1], ["a:.", 1.1], [" ", 1], ["b", 0.5]]],
    ["a\\b \\", [["ab ", 1]]],
  ];
  for (const [prompt, expected] of CASES) {
    it(`reads ${JSON.stringify(prompt)}`, () => {
      const rounded = parsePromptWeights(prompt).map(({ text, weight }) => [text, Number(weight.toFixed(9))]);
      assert.deepEqual(rounded, expected.map(([text, weight]) => [text, Number(weight.toFixed(9))]));
    });
  }

  it("reads 32,000 characters of any kind in one pass", () => {
    const long = [`:${"1".repeat(31_999)}`, " ".repeat(32_000), `${"(a".repeat(8000)}${")".repeat(8000)}`];
    for (const prompt of long) assert.ok(parsePromptWeights(prompt, { breaks: true }).length > 0);
    const [first, ...rest] = parsePromptWeights(`a${" ".repeat(16_000)}BREAK${" ".repeat(15_000)}b`, {
      breaks: true,
    });
    assert.deepEqual([first!.text, rest], ["a", [{ text: "b", weight: 1, startsChunk: true }]]);
  });

  it("begins a chunk at the word BREAK, where that is asked for", () => {
    const text = "a (b BREAK\nc:2), BREAKING BREAK";
    assert.deepEqual(parsePromptWeights(text, { breaks: true }), [
      { text: "a ", weight: 1 },
      { text: "b", weight: 2 },
      { text: "c", weight: 2, startsChunk: true },
      { text: ", BREAKING", weight: 1 },
      { text: "", weight: 1, startsChunk: true },
    ]);
    // Letters of any script make a longer word of it.
    assert.equal(parsePromptWeights("日本BREAK éBREAK BREAKé", { breaks: true }).length, 1);
    assert.deepEqual(parsePromptWeights("a BREAK b"), [{ text: "a BREAK b", weight: 1 }]);
  });
});

describe("weighStates()", () => {
  it("restores the mean of all values", () => {
    const states = Float32Array.of(1, 2, 3, 4);
    const weighed = weighStates(states, [1, 2]);
    assert.deepEqual([...weighed].map((value) => Math.round(1e5 * value / weighed[0]!) / 1e5), [1, 2, 6, 8]);
    assert.ok(Math.abs(weighed.reduce((a, b) => a + b, 0) - 10) < 1e-5);
    assert.equal(weighStates(states, [1, 1]), states);
  });
});
