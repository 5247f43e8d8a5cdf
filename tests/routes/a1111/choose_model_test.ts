import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { ModelCard } from "../../../protocol/wire/model_card.ts";
import { chooseModel, lorasOf } from "../../../routes/a1111/choose_model.ts";

const cardOf = (id: string) => ({ id, digest: "0123456789abcdef" }) as ModelCard;
const BASE = cardOf("base");
const FIRST = cardOf("base+loras/style.safetensors:0.7");
const SECOND = cardOf("base+loras/style.safetensors@2:0.7");
const CARDS = [BASE, FIRST, SECOND];

describe("chooseModel()", () => {
  it("tells a LoRA of the second denoiser from the same file for the first", () => {
    const chosen = (prompt: string) => chooseModel(prompt, { card: BASE, cards: CARDS });
    assert.deepEqual(chosen("a fox <lora:style:0.7>"), { card: FIRST, prompt: "a fox" });
    assert.deepEqual(chosen("a fox <lora:style@2:0.7>"), { card: SECOND, prompt: "a fox" });
    assert.throws(
      () => chosen("a fox <lora:style@2>"),
      /There is <lora:style:0\.7>, <lora:style@2:0\.7>$/,
    );
  });
});

describe("chooseModel() of long prompts", () => {
  it("takes an open tag for text, without a second look at what follows", () => {
    const open = "<lora:".repeat(5000);
    assert.equal(chooseModel(open, { card: FIRST, cards: [FIRST] }).prompt, open);
    assert.deepEqual(chooseModel("a <x:1> b", { card: FIRST, cards: [FIRST] }).others, ["<x:1>"]);
  });
});

describe("lorasOf()", () => {
  it("lists both versions of a file", () => {
    assert.deepEqual(lorasOf(CARDS).map(({ name }) => name), ["style", "style@2"]);
  });
});
