// Settings that tokenizer files hold beside their tokens. The expected ids are those of transformers 5.24.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import { refuseLeftPadding } from "../../../../gpu-worker/text/refuse_left_padding.ts";
import { openTokenizer, type Tokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath } from "../../../goldens/golden.ts";

type Json = Record<string, unknown>;

/** Copies a golden's folders and changes the JSON files of its tokenizer. */
function changed(golden: string, changes: Record<string, (json: Json) => Json>): string {
  const folder = Deno.makeTempDirSync();
  const index = join(goldenPath(golden), "model_index.json");
  Deno.copyFileSync(index, join(folder, "model_index.json"));
  Deno.mkdirSync(join(folder, "tokenizer"));
  for (const { name } of Deno.readDirSync(join(goldenPath(golden), "tokenizer"))) {
    Deno.copyFileSync(join(goldenPath(golden), "tokenizer", name), join(folder, "tokenizer", name));
  }
  for (const [name, change] of Object.entries(changes)) {
    const path = join(folder, "tokenizer", name);
    Deno.writeTextFileSync(path, JSON.stringify(change(JSON.parse(Deno.readTextFileSync(path)))));
  }
  return folder;
}

async function withTokenizer(
  [golden, changes]: Parameters<typeof changed>,
  use: (tokenizer: Tokenizer, folder: string) => unknown,
) {
  const folder = changed(golden, changes);
  try {
    await use(openTokenizer(join(folder, "tokenizer")), folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const QWEN3 = "z_image/tiny-base";
const PADDING = {
  strategy: "BatchLongest",
  direction: "Left",
  pad_to_multiple_of: null,
  pad_id: 347,
  pad_type_id: 0,
  pad_token: "<|endoftext|>",
};
const TRUNCATION = { direction: "Left", max_length: 5, strategy: "LongestFirst", stride: 0 };

describe("openTokenizer()", () => {
  it("pads and cuts on the side that tokenizer.json says", async () => {
    const changes = {
      "tokenizer_config.json": ({ padding_side: _, ...config }: Json) => config,
      "tokenizer.json": (json: Json) => ({ ...json, padding: PADDING, truncation: TRUNCATION }),
    };
    await withTokenizer([QWEN3, changes], async (tokenizer) => {
      const words = await tokenizer.textIds("a red heart");
      const { ids, attentionMask } = await tokenizer.encode("a red heart", { maxLength: words.length + 2 });
      assert.deepEqual(ids, [347, 347, ...words]);
      assert.deepEqual(attentionMask, [0, 0, ...words.map(() => 1)]);
      assert.deepEqual((await tokenizer.encode("a red heart", { maxLength: 3 })).ids, words.slice(-3));
    });
  });

  it("lets tokenizer_config.json overrule tokenizer.json's sides", async () => {
    const changes = {
      "tokenizer_config.json": (config: Json) => ({
        ...config,
        padding_side: "right",
        truncation_side: "right",
      }),
      "tokenizer.json": (json: Json) => ({ ...json, padding: PADDING, truncation: TRUNCATION }),
    };
    await withTokenizer([QWEN3, changes], async (tokenizer) => {
      const words = await tokenizer.textIds("a red heart");
      const { ids } = await tokenizer.encode("a red heart", { maxLength: words.length + 1 });
      assert.deepEqual(ids, [...words, 347]);
      assert.deepEqual((await tokenizer.encode("a red heart", { maxLength: 3 })).ids, words.slice(0, 3));
    });
  });

  it("puts begin and end around a text where a config beside vocab.json asks for them", async () => {
    const ends = (config: Json) => ({ ...config, add_bos_token: true, add_eos_token: true });
    await withTokenizer(["qwen_image/tiny-image", { "tokenizer_config.json": ends }], async (tokenizer) => {
      // The folder names no begin.
      const { ids } = await tokenizer.encode("a red heart", { maxLength: 6 });
      assert.deepEqual(ids, [64, 474, 441, 483, 486, 487]);
    });
  });

  it("refuses to split special tokens", async () => {
    const split = (config: Json) => ({ ...config, split_special_tokens: true });
    await assert.rejects(
      withTokenizer([QWEN3, { "tokenizer_config.json": split }], () => {}),
      /'split_special_tokens' must be false: current value is true/,
    );
  });
});

describe("refuseLeftPadding()", () => {
  it("reads tokenizer.json where tokenizer_config.json says nothing", async () => {
    const changes = {
      "tokenizer_config.json": ({ padding_side: _, ...config }: Json) => config,
      "tokenizer.json": (json: Json) => ({ ...json, padding: PADDING }),
    };
    await withTokenizer([QWEN3, changes], (_, folder) => {
      assert.throws(
        () => refuseLeftPadding(Checkpoint.open(folder)),
        /tokenizer.json as 'padding.direction' must be "right": current value is "left"/,
      );
    });
  });
});
