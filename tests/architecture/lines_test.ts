// Lines of code have at most 110 characters, comments and strings included: two files fit side by side.
// Files have at most 400 lines, or say in their first lines why they are longer.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";

const WIDTH = 110;
const HEIGHT = 400;
const FOLDERS = [".ci", "deploy", "gpu-worker", "models", "protocol", "routes", "sampler", "tests"];
const CODE = /\.(?:ts|js|mjs|py|css|html|yaml)$/;
/** Messages that a generator writes. */
const GENERATED = /_pb\.ts$/;

/** Lines that cannot be broken: an import, a regular expression, and one word such as an address. */
const UNBREAKABLE = [
  /^(?:import|export) .* from ".*";$/,
  /^\s*(?:\.raw`.*`|\/(?!\*).+\/[a-z]*)[,;]?$/,
  /^\s*(?:(?:\/\/|\*|#) )?\S+$/,
];

describe("lines of code", () => {
  const files = [...FOLDERS.flatMap((folder) => listCode(folder)), "main.ts"];
  assert.ok(files.length > 1000, `only ${files.length} files were found`);

  it("have at most 110 characters", () => {
    const long = files.flatMap((file) => longLines(file, Deno.readTextFileSync(file)));
    assert.equal(long.length, 0, `${long.length} lines are too long:\n${long.join("\n")}`);
  });

  it("are at most 400 in a file, unless its first lines say why", () => {
    const tall = files.filter((file) => {
      const lines = Deno.readTextFileSync(file).trimEnd().split("\n");
      return lines.length > HEIGHT && !lines.slice(0, 12).some((line) => line.includes("Past 400 lines"));
    });
    assert.deepEqual(tall, []);
  });

  it("are named by file and number, and may be longer if they cannot be broken", () => {
    const word = "x".repeat(WIDTH);
    const source = [
      `// ${"word ".repeat(30)}`,
      `import { parse } from "./${word}.ts";`,
      `  /${word} ${word}/u,`,
      `  /** ${word} ${word} */`,
      `  // https://example.com/${word}`,
      `const text = "a ${word}";`,
      `${"é".repeat(WIDTH - 2)} b`,
    ].join("\n");
    assert.deepEqual(longLines("file.ts", source), ["file.ts:1", "file.ts:4", "file.ts:6"]);
  });
});

function longLines(file: string, source: string): string[] {
  return source.split("\n").flatMap((line, index) => {
    if ([...line].length <= WIDTH || UNBREAKABLE.some((form) => form.test(line))) return [];
    return [`${file}:${index + 1}`];
  });
}

function listCode(folder: string): string[] {
  return Deno.readDirSync(folder).toArray().flatMap(({ name, isDirectory }) => {
    const path = join(folder, name).replaceAll("\\", "/");
    if (isDirectory) return listCode(path);
    return CODE.test(name) && !GENERATED.test(name) ? [path] : [];
  });
}
