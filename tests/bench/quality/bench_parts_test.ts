import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { promptsOfFile, promptsOfNames } from "../../../gpu-worker/cli/calibrate/prompt_sets.ts";
import { planSteps, randn, resolveSamplerOptions } from "../../../sampler/mod.ts";
import { comparePictures, totalVariation } from "./compare_pictures.ts";
import { fidelityMethods, PASSES } from "./fidelity_methods.ts";
import { UNKNOWN_PROMPTS } from "./mismatches.ts";
import { backgroundOf } from "./recognizer.ts";
import { ResultLog } from "./result_log.ts";
import { rivalPrompts, tablePrompts } from "./table_prompts.ts";
import { type ColorName, COLORS } from "./training_pictures.ts";

const SIDE = 32;

function picture(value: (channel: number, i: number) => number) {
  const area = SIDE ** 2;
  const data = Float32Array.from({ length: 3 * area }, (_, i) => value(Math.floor(i / area), i));
  return { width: SIDE, height: SIDE, data };
}

describe("fidelityMethods()", () => {
  it("gives every method the full passes that its name says", () => {
    const plans = new Proxy({}, {
      get: () => Object.fromEntries(PASSES.map((passes) => [passes, [...Array(passes).keys()]])),
    });
    for (const { name, steps, passes, sampler } of fidelityMethods(plans)) {
      if (passes === undefined || sampler.method === "none") continue;
      const plan = planSteps(steps, resolveSamplerOptions({ ...sampler, m: undefined }, steps));
      assert.equal(plan.filter((kind) => kind === "full").length, passes, `${name}, ${passes}`);
      if (name === "Spectrum, w 0.5" && passes === 14) assert.equal(sampler.flexWindow, 0.75);
      if (name === "Spectrum, w 0.5" && passes === 10) assert.equal(sampler.flexWindow, 3);
      if (name === "TaylorSeer, order 1" && passes === 10) assert.equal(sampler.windowSize, 6);
    }
  });
});

describe("the prompts of a calibration and of its tables", () => {
  const read = (path: string) => Deno.readTextFileSync(path).trim().split("\n");

  it("are five disjoint sets of names for models/emoji", () => {
    const names = read("models/emoji/names.txt");
    const most = { record: 1000, search: 1000, validate: 1000 };
    const { objective, ...found } = promptsOfNames(names, most);
    const sets = { ...found, table: tablePrompts(names), rivals: rivalPrompts(names) };
    assert.ok(sets.table.length >= 64);
    const nameOf = (prompt: string) => prompt.replace(/ on an? \w+ background$/, "");
    const all = Object.values(sets).flatMap((prompts) => [...new Set(prompts.map(nameOf))]);
    assert.equal(new Set(all).size, all.length);
    // Half of the prompts that choose the objective are of the search, and half are unknown to the
    // checkpoint.
    const unlisted = objective.filter((prompt) => !sets.search.includes(prompt));
    assert.equal(unlisted.length, objective.length / 2);
    for (const prompt of unlisted) {
      assert.ok(!all.includes(prompt) && !UNKNOWN_PROMPTS.includes(prompt), prompt);
    }
  });

  it("are four disjoint sets of sentences for models/shapes", () => {
    const counts = { record: 20, search: 12, validate: 16 };
    const { objective: _, ...found } = promptsOfFile(read("tests/bench/quality/shapes_prompts.txt"), counts);
    const sets = {
      ...found,
      table: tablePrompts(read("models/shapes/names.txt")),
    };
    assert.deepEqual(Object.values(sets).map(({ length }) => length), [20, 12, 16, 48]);
    const all = Object.values(sets).flat();
    assert.equal(new Set(all).size, all.length);
  });
});

describe("comparePictures()", () => {
  it("is PSNR and SSIM by their definitions where these are known", () => {
    const grey = picture(() => 0);
    assert.deepEqual(comparePictures(grey, grey), { psnr: 99, ssim: 1 });
    // 128 and 153 of 255: a difference of 25 everywhere. Flat pictures have no structure:
    // (2ab + c) / (a^2 + b^2 + c).
    const { psnr, ssim } = comparePictures(grey, picture(() => 0.2));
    assert.ok(Math.abs(psnr - 20 * Math.log10(255 / 25)) < 1e-9, `${psnr}`);
    const c = (0.01 * 255) ** 2;
    assert.ok(Math.abs(ssim - (2 * 128 * 153 + c) / (128 ** 2 + 153 ** 2 + c)) < 1e-3, `${ssim}`);
  });
});

describe("totalVariation()", () => {
  it("is 0 for one colour, and large for noise", () => {
    assert.equal(totalVariation(picture(() => 0.3)), 0);
    const noise = randn([3 * SIDE ** 2], 1);
    assert.ok(totalVariation(picture((_, i) => noise[i]!)) > 0.5);
  });
});

describe("backgroundOf()", () => {
  it("names the colour of the corners without looking between them", () => {
    for (const name of Object.keys(COLORS) as ColorName[]) {
      const shown = picture((channel, i) => {
        const [x, y] = [i % SIDE, Math.floor(i / SIDE) % SIDE];
        const inside = x > 4 && x < SIDE - 5 && y > 4 && y < SIDE - 5;
        return inside ? 0 : COLORS[name][channel]! / 127.5 - 1;
      });
      assert.equal(backgroundOf(shown), name);
    }
  });
});

describe("ResultLog", () => {
  it("goes on after a record that was cut off", () => {
    const path = Deno.makeTempFileSync();
    Deno.writeTextFileSync(path, '{"key":"a","value":1}\n{"key":"b","va');
    {
      using log = ResultLog.open<{ key: string; value: number }>(path);
      assert.equal(log.get("a")?.value, 1);
      assert.equal(log.get("b"), undefined);
      log.add({ key: "b", value: 2 });
    }
    using again = ResultLog.open<{ key: string; value: number }>(path);
    assert.deepEqual([...again.records].map(({ key, value }) => [key, value]), [["a", 1], ["b", 2]]);
    Deno.removeSync(path);
  });
});
