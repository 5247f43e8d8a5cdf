import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { letOthersRun } from "../../../protocol/process/let_others_run.ts";

describe("letOthersRun()", () => {
  it("lets a server of this process answer between two turns", async () => {
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response());
    let isAnswered = false;
    const request = fetch(`http://127.0.0.1:${server.addr.port}/`).then(async (answer) => {
      await answer.body?.cancel();
      isAnswered = true;
    });
    // Each turn has some work, as a slice of a computation has.
    for (let turn = 0; turn < 5000 && !isAnswered; turn++) {
      const end = performance.now() + 1;
      while (performance.now() < end);
      await letOthersRun();
    }
    assert(isAnswered, "no answer within 5000 turns");
    await request;
  });
});
