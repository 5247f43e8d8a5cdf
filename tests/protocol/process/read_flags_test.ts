// Command lines: what is understood, and what an error says about what is not.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readFlags } from "../../../protocol/process/read_flags.ts";
import { UsageError } from "../../../protocol/process/usage_error.ts";

const SPEC = {
  "prompt": "text-or-operand",
  "num-frames": "number",
  "guidance-scale": "number",
  "lora": "texts",
  "json": "switch",
  "help": "switch",
} as const;

const read = (...args: string[]) => readFlags(args, SPEC);
const message = (...args: string[]): string => {
  try {
    read(...args);
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return error.message;
  }
  throw new Error("nothing was refused");
};

describe("readFlags()", () => {
  it("takes an operand in the place of its flag", () => {
    assert.equal(read("red heart", "--json").prompt, "red heart");
    assert.equal(read("--json", "red heart").prompt, "red heart");
    assert.equal(read("--prompt", "red heart").prompt, "red heart");
    assert.equal(read("-").prompt, "-");
    assert.equal(message("--prompt", "a", "b"), "--prompt is given 2 times");
    assert.equal(
      message("red", "heart"),
      "unknown argument 'heart' after 'red'. Try quotes around text that has spaces.",
    );
  });

  it("ignores a leading --, and reads everything behind another one as operands", () => {
    assert.deepEqual([read("--", "--json").json, read("--", "--", "--json").prompt], [true, "--json"]);
    assert.equal(read("--json", "--", "-1 degrees").prompt, "-1 degrees");
  });

  it("takes -h for --help, but not as a value", () => {
    assert.equal(read("-h").help, true);
    assert.deepEqual([read("--prompt", "-h").prompt, read("--prompt", "-h").help], ["-h", false]);
  });

  it("collects any number of operands where a command has them", () => {
    const { words, id } = readFlags(["create", "--id", "7", "x"], { words: "operands", id: "number" });
    assert.deepEqual([words, id], [["create", "x"], 7]);
  });

  for (
    const [given, meant] of [
      ["--promt", "--prompt"],
      ["--Prompt=x", "--prompt"],
      ["--num_frames", "--num-frames"],
      ["--frames=9", "--num-frames"],
      ["--guidance", "--guidance-scale"],
      ["--jsn", "--json"],
    ] as const
  ) {
    it(`asks whether ${given} means ${meant}`, () => {
      assert.equal(message(given), `unknown argument '${given}'; did you mean ${meant}?`);
    });
  }

  it("takes true and false after a switch, and no other word for them", () => {
    assert.equal(
      message("--json=no"),
      "--json must be true or false where it has a value: current value is 'no'",
    );
    assert.equal(
      message("--json=0"),
      "--json must be true or false where it has a value: current value is '0'",
    );
    assert.deepEqual([read("--json=true").json, read("--json=false").json], [true, false]);
  });

  it("suggests nothing where nothing is near", () => {
    for (const given of ["--zzzzzz", "-x", "--=1"]) {
      assert.equal(message(given), `unknown argument '${given}'; --help lists what there is`);
    }
  });
});
