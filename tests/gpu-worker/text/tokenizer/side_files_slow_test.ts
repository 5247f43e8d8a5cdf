// Compares tokenizers with the side files of published checkpoints with transformers.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { openTokenizer, type Tokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath } from "../../../goldens/golden.ts";

interface Shape {
  name: string;
  /** Name -> JSON, or the path of a file under tests/goldens. */
  files: Record<string, unknown>;
  /** Name -> parts of that JSON file to replace. */
  patch: Record<string, Record<string, unknown>>;
  pad: number;
  /** One hash of 8 digits for each text. */
  hashes: string;
  code_points?: string;
}

interface SideFileGoldens {
  texts: string[];
  /** First code point of each block of 4,096 for which `code_points` has a hash. */
  code_points: number[];
  cases: Shape[];
}

const { texts, cases, code_points: blocks }: SideFileGoldens = JSON.parse(
  Deno.readTextFileSync(goldenPath("tokenizers/side_files.json")),
);

describe("Tokenizer with published side files", () => {
  for (const shape of cases) {
    it(`encode() gives transformers' ids of 1,000 texts: ${shape.name}`, async () => {
      const tokenizer = openShape(shape);
      const wrong: string[] = [];
      for (const [i, text] of texts.entries()) {
        if (fnv(await idsOf(tokenizer, text)) !== shape.hashes.slice(8 * i, 8 * i + 8)) wrong.push(text);
      }
      assert.deepEqual(wrong, []);
      const { ids, attentionMask } = await tokenizer.encode("", { maxLength: 24 });
      assert.equal(ids[attentionMask.indexOf(0)], shape.pad);
    });

    const { code_points: expected } = shape;
    if (expected === undefined) continue;
    it(`encode() gives transformers' ids of code points of all scripts: ${shape.name}`, async () => {
      const tokenizer = openShape(shape);
      const wrong: string[] = [];
      let seen = 0;
      for (const block of blocks) {
        const hash = fnv(await blockIds(tokenizer, block));
        if (hash !== expected.slice(seen, seen += 8)) wrong.push(`U+${block.toString(16)}`);
      }
      assert.deepEqual(wrong, []);
    });
  }
});

function openShape({ files, patch }: Shape): Tokenizer {
  const folder = Deno.makeTempDirSync();
  try {
    for (const [name, value] of Object.entries(files)) {
      const path = join(folder, name);
      if (typeof value !== "string") Deno.writeTextFileSync(path, JSON.stringify(value));
      else if (!(name in patch)) Deno.copyFileSync(goldenPath(value), path);
      else {
        const json = JSON.parse(Deno.readTextFileSync(goldenPath(value)));
        Deno.writeTextFileSync(path, JSON.stringify({ ...json, ...patch[name] }));
      }
    }
    return openTokenizer(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/**
 * Returns the ids of each code point of a block between letters, digits and
 * punctuation, 64 code points per text.
 */
async function blockIds(tokenizer: Tokenizer, block: number): Promise<number[]> {
  const characters = Array.from({ length: 0x1000 }, (_, i) => block + i).filter((c) =>
    c < 0xd800 || c >= 0xe000
  );
  const ids: number[] = [];
  for (let i = 0; i < characters.length; i += 64) {
    const row = characters.slice(i, i + 64).map((c) => String.fromCodePoint(c));
    ids.push(...await idsOf(tokenizer, row.map((c) => `a${c}b 1${c}2 !${c}? `).join("")));
  }
  return ids;
}

async function idsOf(tokenizer: Tokenizer, text: string): Promise<number[]> {
  const { ids, attentionMask } = await tokenizer.encode(text, { maxLength: 4096 });
  return ids.filter((_, i) => attentionMask[i] === 1);
}

/** Returns the 32-bit FNV-1a hash of the ids as text. */
function fnv(ids: readonly number[]): string {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(ids.join(","))) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  return value.toString(16).padStart(8, "0");
}
