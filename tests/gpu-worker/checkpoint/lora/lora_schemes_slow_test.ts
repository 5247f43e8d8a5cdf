// Compares, scheme by scheme and family by family, which tensors a LoRA file changes, and by how much, with
// what diffusers does (goldens/lora/schemes.json), and docs/loras.md with both.
import { it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { CheckpointError } from "../../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { applyLoras } from "../../../../gpu-worker/checkpoint/lora/apply_loras.ts";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import type { Addition, KroneckerFactor } from "../../../../gpu-worker/checkpoint/weights.ts";
import { encodeSafetensors } from "../../../../gpu-worker/media/encode_safetensors.ts";
import { familyOf } from "../../../../gpu-worker/model/families.ts";
import { goldenPath } from "../../../goldens/golden.ts";

/** Tensor -> number that is added to each of its elements. */
type Changes = Record<string, number>;
interface Case {
  /** Name -> "2x20". Every number of the file is one, but alphas are three. */
  shapes: Record<string, string>;
  diffusers: Changes | "refused" | "ignored";
}
type Table = Record<string, { checkpoint: string; cases: Record<string, Case> }>;

const TABLE: Table = JSON.parse(Deno.readTextFileSync(goldenPath("lora/schemes.json")));
/** Files that diffusers reads in part. */
const IN_PART = new Set(["z_image down and up of ComfyUI, original names"]);

const folder = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

function ours(checkpoint: Checkpoint, shapes: Case["shapes"]): Changes | string {
  const path = join(folder, "x.safetensors");
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const dims = shape === "" ? [] : shape.split("x").map(Number);
    const size = dims.reduce((a, b) => a * b, 1);
    return { name, dims, data: new Float32Array(size).fill(name.endsWith("alpha") ? 3 : 1) };
  });
  Deno.writeFileSync(path, encodeSafetensors(tensors));
  try {
    const changed = applyLoras(checkpoint, [{ path, weight: 1 }], familyOf(checkpoint).loras);
    const changes = changed.components().flatMap(({ name, weights }) =>
      [...weights].flatMap(([tensor, { additions = [] }]) =>
        additions.map((addition) => [nameOf(name, tensor), elementOf(addition)] as const)
      )
    );
    return Object.fromEntries(changes);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, String(error));
    return error.message;
  }
}

/** transformers has "text_model." in its modules' names or not. */
function nameOf(component: string, tensor: string): string {
  return `${component}.${tensor.replace(/^text_model\./, "")}`;
}

/** Returns the number that is added to every element, as every factor is of ones. */
function elementOf(addition: Addition): number {
  const rank = (factor: KroneckerFactor) => "down" in factor ? factor.down.shape[0]! : 1;
  if ("left" in addition) return addition.scale * rank(addition.left) * rank(addition.right);
  return addition.scale * ("whole" in addition ? 1 : addition.down.shape[0]!);
}

/** One letter a family and scheme, for the table of docs/loras.md. */
const marks = new Map<string, Map<string, string>>();

for (const [family, { checkpoint, cases }] of Object.entries(TABLE)) {
  it(`applyLoras() reads each scheme of ${family} as diffusers does, or refuses it by name`, () => {
    const opened = Checkpoint.open(goldenPath(checkpoint));
    for (const [scheme, { shapes, diffusers }] of Object.entries(cases)) {
      const result = ours(opened, shapes);
      const row = marks.get(scheme) ?? new Map<string, string>();
      const isRead = typeof result === "object";
      marks.set(scheme, row.set(family, isRead ? typeof diffusers === "object" ? "both" : "we" : "-"));
      if (!isRead) assert.match(result, /^Cannot use LoRA \S+ as .*'/);
      if (typeof diffusers === "string" || IN_PART.has(`${family} ${scheme}`)) continue;
      assert.ok(isRead, `${family} ${scheme}: ${result}`);
      const theirs = Object.fromEntries(
        Object.entries(diffusers).map(([name, element]) =>
          [name.replace(/^(\w+\.)text_model\./, "$1"), element] as const
        ),
      );
      assert.deepEqual(Object.keys(result).sort(), Object.keys(theirs).sort(), `${family} ${scheme}`);
      for (const [name, element] of Object.entries(theirs)) {
        assert.ok(Math.abs(result[name]! - element) < 1e-5, `${family} ${scheme}: ${name}`);
      }
    }
  });
}

const FAMILIES = Object.keys(TABLE);
it("docs/loras.md has the table of schemes", () => {
  const docs = Deno.readTextFileSync(new URL("../../../../docs/loras.md", import.meta.url));
  const cellsOf = (line: string) => line.split("|").slice(1, -1).map((cell) => cell.trim());
  const rows = docs.split("\n").filter((line) => line.startsWith("|")).map(cellsOf);
  const expected = [...marks].map(([scheme, row]) => [
    scheme,
    ...FAMILIES.map((family) => row.get(family) ?? ""),
  ]);
  const known = new Map(rows.map((row) => [row[0], row]));
  for (const row of expected) assert.deepEqual(known.get(row[0]!), row);
});
