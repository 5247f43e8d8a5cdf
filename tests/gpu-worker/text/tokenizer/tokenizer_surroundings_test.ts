// Settings of a tokenizer outside the tokenizer's folder.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { openTokenizer, type Tokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath } from "../../../goldens/golden.ts";

interface Surroundings {
  className?: string;
  config?: Record<string, unknown>;
  encoder?: Record<string, unknown>;
}

describe("openTokenizer() in a checkpoint", () => {
  const NO_LENGTH = 1000000000000000019884624838656;

  for (
    const [what, expected, surroundings] of [
      ["the tokenizer's", 77, { config: { model_max_length: 77 } }],
      ["the tokenizer's old name for it", 50, { config: { max_len: 50 } }],
      ["the text encoder's where the tokenizer has none", 20, { encoder: { max_position_embeddings: 20 } }],
      ["the text encoder's where the tokenizer says there is none", 20, {
        config: { model_max_length: NO_LENGTH },
        encoder: { max_position_embeddings: 20 },
      }],
      ["the text encoder's where the tokenizer's has no place in it", 20, {
        config: { model_max_length: 77 },
        encoder: { max_position_embeddings: 20 },
      }],
    ] as [string, number, Surroundings][]
  ) {
    it(`takes the length that is ${what}`, () => assert.equal(open(surroundings).modelMaxLength, expected));
  }

  for (const length of [2, 0, -1, 20.5, "77"]) {
    it(`refuses a model_max_length of ${JSON.stringify(length)}`, () =>
      assert.throws(() => open({ config: { model_max_length: length } }), /model_max_length/));
  }

  it("cleans CLIP's text with ftfy where transformers 4 saved the text encoder", async () => {
    const curly = "“it’s” schÃ¶n";
    const plain = '"it\'s" schön';
    const ids = async (text: string, surroundings: Surroundings) =>
      (await open(surroundings).encode(text, { maxLength: 40 })).ids;
    const saved = (version: string, className = "CLIPTokenizer") => ({
      className,
      encoder: { transformers_version: version },
    });
    for (const version of ["4.22.0.dev0", "4.57.1", "3.5.1"]) {
      assert.deepEqual(await ids(curly, saved(version)), await ids(plain, saved(version)), version);
    }
    for (const other of [saved("5.24.0"), saved("10.0.0"), saved("4.41.0", "CLIPTokenizerFast"), {}]) {
      assert.notDeepEqual(await ids(curly, other), await ids(plain, other));
    }
  });

  it("builds the steps of the class that model_index.json names", async () => {
    // For another class, tokenizer.json's own stages apply: here, none.
    const files = { "tokenizer.json": "flux/tiny-schnell/tokenizer/tokenizer.json" };
    const steps = { normalizer: null };
    const asClip = await open({ className: "CLIPTokenizer" }, files, steps).encode("HEART", { maxLength: 9 });
    const asItIs = await open({ className: "PreTrainedTokenizerFast" }, files, steps).encode("HEART", {
      maxLength: 9,
    });
    const lower = await open({ className: "CLIPTokenizer" }, files, steps).encode("heart", { maxLength: 9 });
    assert.deepEqual(asClip, lower);
    assert.notDeepEqual(asItIs, lower);
  });
});

const CLIP = {
  "vocab.json": "flux/tiny-dev/tokenizer/vocab.json",
  "merges.txt": "flux/tiny-dev/tokenizer/merges.txt",
};

function open(
  { className, config = {}, encoder }: Surroundings,
  files: object = CLIP,
  patch?: object,
): Tokenizer {
  const folder = Deno.makeTempDirSync();
  const tokenizer = join(folder, "tokenizer_2");
  const write = (name: string, value: unknown) =>
    Deno.writeTextFileSync(join(folder, name), JSON.stringify(value));
  try {
    Deno.mkdirSync(tokenizer);
    Deno.mkdirSync(join(folder, "text_encoder_2"));
    if (className) write("model_index.json", { tokenizer_2: ["transformers", className] });
    if (encoder) write("text_encoder_2/config.json", encoder);
    write("tokenizer_2/tokenizer_config.json", { pad_token: "!", ...config });
    for (const [name, path] of Object.entries(files)) {
      const text = Deno.readTextFileSync(goldenPath(path));
      const changed = patch ? JSON.stringify({ ...JSON.parse(text), ...patch }) : text;
      Deno.writeTextFileSync(join(tokenizer, name), changed);
    }
    return openTokenizer(tokenizer);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
