import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Announcer } from "../../../routes/page/browser/announcer.js";

describe("Announcer", () => {
  it("progress() keeps its distance, say() is at once", () => {
    const said: string[] = [];
    const region = {
      set textContent(text: string | null) {
        said.push(text ?? "");
      },
    };
    let now = 0;
    const announcer = new Announcer(region, { intervalMs: 4000, now: () => now });
    for (now = 0; now <= 9000; now += 1000) announcer.progress(`${now}`);
    announcer.say("done");
    announcer.progress("late");
    assert.deepEqual(said, ["0", "4000", "8000", "done"]);
  });
});
