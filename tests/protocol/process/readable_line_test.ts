import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readableLine } from "../../../protocol/process/readable_line.ts";
import { structuredLog } from "../../../protocol/process/structured_log.ts";

describe("readableLine()", () => {
  it("leaves out fields that no reader needs, and keeps lines that are no log", () => {
    const lines: string[] = [];
    const log = structuredLog({ process: "edge", write: (line) => lines.push(line), readable: true });
    log("info", "listening", { url: "http://127.0.0.1:8000", pid: 7 });
    log("warn", "store is away", { tries: 2, last: null });
    log("info", "stopped");
    assert.deepEqual(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d /, "")), [
      "edge: listening (url=http://127.0.0.1:8000)",
      "edge: warn: store is away (tries=2)",
      "edge: stopped",
    ]);
    for (const line of ["Downloading", "{}", "null", "3", ""]) assert.equal(readableLine(line), line);
  });
});
