// The plan of a batch: folders, seeds and the prompts that are left.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { basename } from "node:path";
import { planBatch } from "../../../../gpu-worker/cli/batch/batch_plan.ts";
import { readPrompts } from "../../../../gpu-worker/cli/read_prompts.ts";

const settingsOf = () => ({});

describe("planBatch()", () => {
  it("names folders as the reference does, and keeps prompts with equal beginnings apart", async () => {
    const long = "a photo of. " + "x".repeat(60);
    const prompts = readPrompts(`a/b\n${long}1\n${long}2\na/b\n../..\n`, Infinity);
    const request = { prompt: "", steps: 1 } as never;
    const { todo } = await planBatch(prompts, { output: "/none", complete: () => request, settingsOf });
    const name = `a_photo_of__${"x".repeat(38)}`;
    assert.deepEqual(todo.map(({ line, folder }) => [line, folder]), [
      [1, "/none/a_b"],
      [2, `/none/${name}`],
      [3, `/none/${name}_2`],
      [5, "/none/_____"],
    ]);
  });

  it("names folders as every system can store them, and gives each of n pictures its own", async () => {
    const prompts = readPrompts("what: <a>|b?\nCON\nRed\nred\n# a comment\n");
    const request = { prompt: "", steps: 1 } as never;
    const options = { output: "/none", complete: () => request, settingsOf };
    const { todo } = await planBatch(prompts, options);
    const names = todo.map(({ folder }) => basename(folder));
    assert.deepEqual(names, ["what___a__b_", "CON_", "Red", "red_2"]);
    const several = await planBatch(prompts.slice(2, 3), { ...options, n: 3, seed: 7 });
    assert.deepEqual(several.todo.map(({ folder }) => basename(folder)), ["Red-7", "Red-8", "Red-9"]);
  });

  it("draws a seed for each prompt under --seed -1", async () => {
    const seeds: number[] = [];
    let drawn = 100;
    await planBatch(readPrompts("a\nb"), {
      output: "/none",
      complete: (_, seed) => {
        seeds.push(seed);
        return { prompt: "", steps: 1 } as never;
      },
      settingsOf,
      seed: -1,
      n: 2,
      drawSeed: () => drawn += 50,
    });
    assert.deepEqual(seeds, [150, 151, 200, 201]);
  });

  it("can be interrupted among many prompts", async () => {
    const prompts = Array.from({ length: 1000 }, (_, line) => ({ line, prompt: `${line}` }));
    const controller = new AbortController();
    let completed = 0;
    const plan = planBatch(prompts, {
      output: "/none",
      complete: () => {
        completed++;
        return { prompt: "", steps: 1 } as never;
      },
      settingsOf,
      signal: controller.signal,
    });
    // As the handler of Ctrl-C does, in a turn of the event loop of its own.
    setTimeout(() => controller.abort(new DOMException("Interrupted", "AbortError")), 0);
    await assert.rejects(plan, { name: "AbortError" });
    assert.ok(completed < prompts.length, `${completed} prompts were completed`);
  });
});
