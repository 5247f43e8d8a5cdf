// Malicious files: excessive sizes are rejected on entry, and errors stay short.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { matchModulePattern } from "../../../gpu-worker/checkpoint/lora/match_module_pattern.ts";
import { parseConfig } from "../../../gpu-worker/checkpoint/parse_config.ts";
import { readSafetensorsHeader } from "../../../gpu-worker/checkpoint/safetensors.ts";
import { openWeights } from "../../../gpu-worker/checkpoint/weights.ts";
import { createSolver, showValue } from "../../../sampler/mod.ts";

const MANY = "x".repeat(1_000_000);

let folder: string;
before(() => {
  folder = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(folder, { recursive: true }));

function refuses(action: () => unknown, message: RegExp): void {
  assert.throws(action, (error) => {
    assert.ok(error instanceof CheckpointError || error instanceof TypeError, String(error));
    assert.match(error.message, message);
    assert.ok(error.message.length < 700, `${error.message.length} characters`);
    return true;
  });
}

describe("showValue()", () => {
  it("prints short values whole and cuts long ones at 200 characters", () => {
    assert.equal(showValue("a"), "a");
    assert.equal(showValue(1n), "1");
    assert.equal(showValue(undefined), "undefined");
    assert.equal(showValue({ a: [1, "x"] }), '{"a":[1,"x"]}');
    assert.equal(showValue("x".repeat(200)), "x".repeat(200));
    assert.equal(showValue(MANY), `${"x".repeat(200)}\u2026 (1000000 characters)`);
    assert.ok(showValue(new Array(1_000_000).fill(2)).length < 250);
    assert.ok(showValue("\ud83d\ude00".repeat(200).slice(1)).isWellFormed() === false);
    assert.ok(showValue(`x${"\ud83d\ude00".repeat(200)}`).isWellFormed());
  });
});

describe("readSafetensorsHeader()", () => {
  const write = (header: unknown, bytes = 4) => {
    const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
    const file = new Uint8Array(8 + text.length + bytes);
    new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
    file.set(text, 8);
    const path = join(folder, "x.safetensors");
    Deno.writeFileSync(path, file);
    return path;
  };
  const tensor = (more: Record<string, unknown> = {}) => ({
    dtype: "F32",
    shape: [1],
    data_offsets: [0, 4],
    ...more,
  });

  it("takes an ordinary one", () => {
    assert.equal(readSafetensorsHeader(write({ a: tensor() })).size, 1);
  });

  for (
    const [name, header, message] of [
      [
        "a shape of 100,000 dimensions",
        { a: tensor({ shape: new Array(100_000).fill(1) }) },
        /at most 8 dimensions/,
      ],
      ["a name of a megabyte", { [MANY]: tensor() }, /its name has more than 1000 characters/],
      ["a dtype of a megabyte", { a: tensor({ dtype: MANY }) }, /its dtype "xxx.* is not supported/],
      [
        "a dtype that objects have of their own",
        { a: tensor({ dtype: "constructor" }) },
        /"constructor" is not/,
      ],
      [
        "100,001 tensors",
        Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [String(i), tensor()])),
        /at most 100000 tensors, but lists 100001/,
      ],
      ["a header of 26 MB", `{"a": "${"x".repeat(26_000_000)}"}`, /at most 25000000 bytes, but has/],
    ] as const
  ) {
    it(`refuses ${name}`, () => refuses(() => readSafetensorsHeader(write(header)), message));
  }
});

describe("openWeights()", () => {
  const indexText = (text: string) => {
    Deno.writeTextFileSync(join(folder, "model.safetensors.index.json"), text);
    return () => openWeights(folder, "model");
  };
  const index = (weightMap: Record<string, unknown>) => indexText(JSON.stringify({ weight_map: weightMap }));

  it("refuses shards that are no names of files", () => {
    for (
      const shard of [
        "../x.safetensors",
        "..",
        "",
        "/etc/passwd",
        "a\\b.safetensors",
        "x\0.safetensors",
        MANY,
        7,
      ]
    ) {
      refuses(index({ a: shard }), /weight_map is not a table of tensor names and file names/);
    }
  });

  it("refuses an index of a million names", () => {
    const names = Array.from({ length: 1_000_000 }, (_, i) => `"n${i}":"shard.safetensors"`);
    refuses(indexText(`{"weight_map":{${names}}}`), /must have at most 25000000 bytes/);
  });

  it("names a tensor that no shard holds by its first characters", () => {
    const text = '{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}';
    const file = new Uint8Array(8 + text.length + 4);
    file[0] = text.length;
    file.set(new TextEncoder().encode(text), 8);
    Deno.writeFileSync(join(folder, "shard.safetensors"), file);
    refuses(index({ [MANY]: "shard.safetensors" }), /Cannot load 'xxx/);
  });
});

describe("parseConfig()", () => {
  const schema = z.strictObject({ a: z.unknown(), b: z.array(z.number()).length(3) }).partial();
  const parse = (json: unknown) => () => parseConfig(schema, json, { className: "X", path: "x/config.json" });

  for (
    const [name, json, message] of [
      ["a count of 1e9", { a: 1e9 }, /'a' must be at most 268435456, but is 1000000000/],
      [
        "a count of 1e9 in a list",
        { a: { block_out_channels: [8, 1e9] } },
        /'a\.block_out_channels\.1' must be/,
      ],
      [
        "100,000 entries",
        { a: new Array(100_000).fill(2) },
        /'a' must have at most 10000 entries, but has 100000/,
      ],
      ["a text of a megabyte", { a: MANY }, /'a' must have at most 10000 characters/],
      ["an option's name of a megabyte", { [MANY]: 1 }, /no option 'xxx/],
      [
        "9,000 entries in place of 3",
        { b: new Array(9000).fill(2) },
        /option 'b'.*current value is \[2,2,.*characters\)/,
      ],
      ["a nesting without use", { a: [[[[[[[[[[1]]]]]]]]]] }, /must not be nested more deeply/],
    ] as const
  ) {
    it(`refuses ${name}`, () => refuses(parse(json), message));
  }

  it("accepts the options of real configs", () => {
    const json = {
      a: { rope_theta: 5e5, max_position_embeddings: 131_072, mask: -1e9, min: -Infinity, eps: 1e-30 },
    };
    assert.deepEqual(parse(json)(), json);
  });
});

describe("createSolver()", () => {
  it("prints no more of an option than a reader wants", () => {
    refuses(() => createSolver({ _class_name: MANY }, { steps: 4 }), /scheduler class 'xxx/);
    const config = { _class_name: "DDIMScheduler" };
    refuses(() => createSolver({ ...config, [MANY]: 1 }, { steps: 4 }), /has no option 'xxx/);
    refuses(() => createSolver({ ...config, beta_end: MANY }, { steps: 4 }), /current value is "xxx/);
    refuses(() => createSolver({ ...config, beta_schedule: MANY }, { steps: 4 }), /current value is xxx/);
  });
});

describe("matchModulePattern()", () => {
  const cases: [pattern: string, module: string, matches: boolean][] = [
    ["to_q", "blocks.0.attn.to_q", true],
    ["to_q", "blocks.0.attn.xto_q", false],
    ["attn.to_q", "blocks.0.attn.to_q", true],
    ["blocks.0.attn.to_q", "blocks.0.attn.to_q", true],
    ["blocks.0.attn", "blocks.0.attn.to_q", false],
    ["^blocks\\.\\d+\\.attn.*$", "blocks.12.attn.to_q", true],
    ["blocks\\.\\d+\\.attn", "blocks.x.attn", false],
    [".*to_[qk]?".replace("[qk]?", "q?"), "blocks.to_", true],
    ["x+y", "xxxy", true],
    ["x+y", "y", false],
  ];
  for (const [pattern, module, matches] of cases) {
    it(`${matches ? "finds" : "does not find"} ${pattern} in ${module}`, () => {
      assert.equal(matchModulePattern(pattern, module), matches);
      // peft's own rule.
      assert.equal(new RegExp(`^(?:.*\\.)?(?:${pattern})$`, "s").test(module), matches);
    });
  }

  it("ends where a regular expression would not", () => {
    assert.equal(matchModulePattern("x*x*x*x*x*x*x*x*x*x*x*x*y", "x".repeat(5000)), false);
    assert.equal(matchModulePattern(".*.*.*.*.*.*.*.*y", "a.".repeat(5000)), false);
  });

  it("refuses groups, choices and sets, by name", () => {
    for (const pattern of ["(x+x+)+y", "a|b", "[ab]", "a{2}", "\\b", "*", "a\\", MANY]) {
      refuses(() => matchModulePattern(pattern, "x"), /Cannot use the LoRA's alpha_pattern '/);
    }
  });
});
