import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readFormFields } from "../../../protocol/http/read_form_fields.ts";

describe("readFormFields()", () => {
  const read = (fields: Record<string, string>) => {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value);
    const request = new Request("http://x", { method: "POST", body });
    return readFormFields(request, { numbers: ["seed", "n"], jsons: ["stream", "spectrum"] });
  };

  it("reads numbers and JSON, and Python's booleans", async () => {
    assert.deepEqual(
      await read({ seed: "7", stream: "True", spectrum: '{"passes":4}', prompt: "True" }),
      { seed: 7, stream: true, spectrum: { passes: 4 }, prompt: "True" },
    );
    assert.deepEqual(await read({ stream: "False" }), { stream: false });
    assert.deepEqual(await read({ stream: "TRUE", n: "two" }), { stream: "TRUE", n: "two" });
  });

  it("leaves out numbers and JSON that nobody has filled in", async () => {
    assert.deepEqual(await read({ seed: "", stream: "", prompt: "" }), { prompt: "" });
  });
});
