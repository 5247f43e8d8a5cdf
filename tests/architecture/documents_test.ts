// Documents name files and headings that exist.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { dirname, join } from "node:path";

const FOLDERS = ["deploy", "docs", "gpu-worker", "models", "protocol", "sampler", "tests"];
const ROOT_DOCUMENTS = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"];
const LINK = /\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)/g;
/** A path in backticks, such as `sampler/denoise.ts` or `gpu-worker/vae/`. */
const PATH = /`([\w.-]+\/[\w./-]*(?:\.ts|\/))`/g;

describe("documents", () => {
  const documents = [...ROOT_DOCUMENTS, ...FOLDERS.flatMap((folder) => listDocuments(folder))];
  assert.ok(documents.length > 50, `only ${documents.length} documents were found`);

  it("link to files and headings that exist", () => {
    const broken = documents.flatMap((file) =>
      Deno.readTextFileSync(file).matchAll(LINK).filter(([, path = "", heading]) =>
        !isThere(path === "" ? file : join(dirname(file), path), heading)
      ).map(([link]) => `${file}: ${link}`).toArray()
    );
    assert.deepEqual(broken, []);
  });

  it("name paths from the root in ARCHITECTURE.md", () => {
    const paths = Deno.readTextFileSync("ARCHITECTURE.md").matchAll(PATH).map(([, path]) => path!).toArray();
    assert.ok(paths.length > 20, `only ${paths.length} paths were found`);
    assert.deepEqual(paths.filter((path) => !isThere(path)), []);
  });

  it("name files by their whole path, or by its end", () => {
    const paths = [...FOLDERS, "routes"].flatMap((folder) => listFiles(folder));
    const isEnd = (end: string) => paths.some((path) => `/${path}`.endsWith(`/${end}`));
    const named = documents.flatMap((file) =>
      Deno.readTextFileSync(file).matchAll(PATH).map(([, path]) => ({ file, path: path! })).toArray()
    ).filter(({ path }) => path.endsWith(".ts"));
    assert.ok(named.length > 40, `only ${named.length} files are named`);
    assert.deepEqual(named.filter(({ path }) => !isEnd(path)), []);
  });
});

function isThere(path: string, heading?: string): boolean {
  try {
    if (Deno.statSync(path).isDirectory || heading === undefined) return true;
  } catch {
    return false;
  }
  const headings = Deno.readTextFileSync(path).matchAll(/^#+ (.*)$/gm).map(([, text]) => anchorOf(text!));
  return headings.some((anchor) => anchor === heading);
}

/** The anchor that GitHub gives to a heading. */
function anchorOf(heading: string): string {
  const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
  return text.replaceAll(/[^\p{L}\p{N}_ -]/gu, "").trim().replaceAll(" ", "-");
}

function listDocuments(folder: string): string[] {
  return listFiles(folder).filter((path) => path.endsWith(".md"));
}

function listFiles(folder: string): string[] {
  return Deno.readDirSync(folder).toArray().flatMap(({ name, isDirectory }) => {
    const path = join(folder, name).replaceAll("\\", "/");
    return isDirectory ? listFiles(path) : [path];
  });
}
