// The declarations in protocol/std/ are ours: each is held against what the library does.
// A line under @ts-expect-error fails `deno check` if the compiler accepts it.
import { abortable } from "@std/async/abortable";
import { parseArgs } from "@std/cli/parse-args";
import { TextLineStream } from "@std/streams/text-line-stream";
import { levenshteinDistance } from "@std/text/levenshtein-distance";
import { describe, it } from "@std/testing/bdd";
import { parse } from "@std/yaml/parse";
import assert from "node:assert/strict";

describe("parseArgs()", () => {
  const OPTIONS = {
    string: ["name", "size", "list", "_"],
    boolean: ["json"],
    collect: ["list"],
    default: { size: "small", count: 3 },
  } as const;

  it("gives text, switches, lists and operands the declared types", () => {
    const args = ["--name", "1", "--json", "--list=a", "--list=2", "7", "--count=5", "--size="];
    const { name, size, list, json, count, _: operands } = parseArgs(args, OPTIONS);
    const typed: [string | undefined, string, string[], boolean, unknown, string[]] = [
      name,
      size,
      list,
      json,
      count,
      operands,
    ];
    assert.deepEqual(typed, ["1", "", ["a", "2"], true, 5, ["7"]]);
  });

  it("gives absent flags the declared types", () => {
    const { name, size, list, json, count, _: operands } = parseArgs([], OPTIONS);
    assert.deepEqual([name, size, list, json, count, operands], [undefined, "small", [], false, 3, []]);
    const { _: numbers }: { _: (string | number)[] } = parseArgs(["7", "x"]);
    assert.deepEqual(numbers, [7, "x"]);
  });

  it("tells of arguments that no option names", () => {
    const unknown: string[] = [];
    parseArgs(["z", "--x=1", "-y"], { string: ["name"], unknown: (arg) => void unknown.push(arg) });
    assert.deepEqual(unknown, ["z", "--x=1", "-y"]);
  });
});

it("abortable() settles as the promise does, or with the signal's reason", async () => {
  const value: number = await abortable(Promise.resolve(1), new AbortController().signal);
  assert.equal(value, 1);
  const reason = new Error("enough");
  await assert.rejects(abortable(new Promise(() => {}), AbortSignal.abort(reason)), reason);
});

it("TextLineStream takes and gives text", async () => {
  const lines: string[] = await Array.fromAsync(
    ReadableStream.from(["a\nb", "c\r\n", "d"]).pipeThrough(new TextLineStream()),
  );
  assert.deepEqual(lines, ["a", "bc", "d"]);
});

it("parse() reads a document or throws a SyntaxError", () => {
  const value: unknown = parse("a: [1, x]");
  assert.deepEqual(value, { a: [1, "x"] });
  assert.throws(() => parse("a: ["), SyntaxError);
});

/** Never called: the compiler alone reads it. */
export function refusedByTheCompiler(): void {
  // @ts-expect-error: no option names the flag
  parseArgs([]).no.such.thing();
  // @ts-expect-error: text that may be absent
  parseArgs([], { string: ["name"] }).name.length;
  // @ts-expect-error: a switch
  parseArgs([], { boolean: ["json"] }).json.length;
  // @ts-expect-error: an option that we do not declare
  parseArgs([], { negatable: ["json"] });
  // @ts-expect-error: a promise of a number
  abortable(Promise.resolve(1), AbortSignal.abort()).then((value) => value.length);
  // @ts-expect-error: lines are text
  new TextLineStream().readable.getReader().read().then(({ value }) => value?.toFixed());
  // @ts-expect-error: a document is unknown
  parse("").no.such.thing();
  // @ts-expect-error: node:test has types
  it.no.such.thing();
}

describe("levenshteinDistance()", () => {
  it("counts insertions, deletions and substitutions", () => {
    const distances: number[] = [
      levenshteinDistance("promt", "prompt"),
      levenshteinDistance("", "ab"),
      levenshteinDistance("cat", "cut"),
    ];
    assert.deepEqual(distances, [1, 2, 1]);
  });
});
