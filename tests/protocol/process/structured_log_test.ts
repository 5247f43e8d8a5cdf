import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { structuredLog } from "../../../protocol/process/structured_log.ts";

function lineOf(fields: Record<string, unknown>, message = "request") {
  const lines: string[] = [];
  structuredLog({ process: "edge", write: (line) => lines.push(line), readable: false })(
    "info",
    message,
    fields,
  );
  return { line: lines[0]!, parsed: JSON.parse(lines[0]!) };
}

describe("structuredLog()", () => {
  it("writes message and fields as one line of JSON", () => {
    const { parsed } = lineOf({ path: "/v1/models", ms: 3, nested: { list: ["a"] } });
    const { time: _, ...rest } = parsed;
    const fields = { path: "/v1/models", ms: 3, nested: { list: ["a"] } };
    assert.deepEqual(rest, { level: "info", process: "edge", message: "request", ...fields });
  });

  it("bounds the length of its lines", () => {
    const long = "\u0000".repeat(50_000);
    for (
      const fields of [
        { path: long },
        { nested: { list: Array.from({ length: 100 }, () => long) } },
        Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`field${index}`, "x"])),
        { [long]: 1 },
      ]
    ) {
      const { line, parsed } = lineOf(fields);
      assert.ok(line.length < 32_000, `${line.length} characters`);
      assert.equal(parsed.message, "request");
    }
    assert.ok(lineOf({}, long).line.length < 32_000);
    assert.match(lineOf({ path: "x".repeat(5000) }).parsed.path, /^x{2000}\.\.\. \(5000 characters\)$/);
  });
});
