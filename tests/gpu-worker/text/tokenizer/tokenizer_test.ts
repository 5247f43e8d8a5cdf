import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { CheckpointError } from "../../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath } from "../../../goldens/golden.ts";

interface TokenizerGoldens {
  texts: string[];
  cases: { folder: string; max_length: number; pad: number; ids: number[][] }[];
}

const { texts, cases }: TokenizerGoldens = JSON.parse(
  Deno.readTextFileSync(goldenPath("tokenizers/goldens.json")),
);

describe("Tokenizer", () => {
  for (const { folder, max_length: maxLength, pad, ids } of cases) {
    it(`encode() gives transformers' ids with the tokenizer in ${folder}`, async () => {
      const tokenizer = openTokenizer(goldenPath(folder));
      for (const [i, text] of texts.entries()) {
        const expected = ids[i]!;
        const padding = Array<number>(maxLength - expected.length).fill(pad);
        const { ids: actual, attentionMask } = await tokenizer.encode(text, { maxLength });
        assert.deepEqual(actual, [...expected, ...padding], JSON.stringify(text));
        assert.deepEqual(attentionMask, [...expected.map(() => 1), ...padding.map(() => 0)]);
      }
    });
  }

  it("encode() cuts 100 kB of any text to maxLength", async () => {
    // Each of these texts takes minutes if the time grows with the square of the length.
    const long = [
      "the quick brown fox, ".repeat(5000),
      "x".repeat(100_000),
      "日本語".repeat(33_333),
      " ".repeat(1e5),
    ];
    for (const folder of ["flux/tiny-dev/tokenizer", "flux/tiny-dev/tokenizer_2"]) {
      const tokenizer = openTokenizer(goldenPath(folder));
      const { ids: empty } = await tokenizer.encode("", { maxLength: 32 });
      for (const text of long) {
        const { ids } = await tokenizer.encode(text, { maxLength: 32 });
        assert.equal(ids.length, 32);
        assert.equal(text.trim() === "", ids.join() === empty.join());
      }
    }
  });

  it("encode() refuses a length without room for the special tokens", async () => {
    const tokenizer = openTokenizer(goldenPath("flux/tiny-dev/tokenizer"));
    const message = "Cannot encode as 'maxLength' must be a whole number >= 2: current value is 1";
    await assert.rejects(tokenizer.encode("a", { maxLength: 1 }), new RangeError(message));
    assert.equal((await tokenizer.encode("a", { maxLength: 3 })).ids.length, 3);
  });

  it("encode() gives the special tokens alone where there is no room for more", async () => {
    const clip = openTokenizer(goldenPath("flux/tiny-dev/tokenizer"));
    const { ids: [begin], dropped } = await clip.encode("a", { maxLength: 2 });
    assert.deepEqual([(await clip.encode("", { maxLength: 2 })).ids[0], dropped], [begin, 1]);
    const t5 = openTokenizer(goldenPath("flux/tiny-dev/tokenizer_2"));
    assert.deepEqual(await t5.encode("a red heart", { maxLength: 1 }), {
      ids: [1],
      attentionMask: [1],
      dropped: (await t5.textIds("a red heart")).length,
    });
  });

  it("modelMaxLength comes from tokenizer_config.json", () => {
    assert.equal(openTokenizer(goldenPath("flux/tiny-schnell/tokenizer")).modelMaxLength, 24);
    assert.equal(openTokenizer(goldenPath("../../models/emoji/tokenizer_2")).modelMaxLength, 12);
  });
});

describe("openTokenizer()", () => {
  const BROKEN: [what: string, files: Record<string, string>, message: RegExp][] = [
    ["an empty folder", {}, /holds neither tokenizer.json nor vocab.json with merges.txt nor spiece.model/],
    ["vocab.json without merges.txt", { "vocab.json": "{}" }, /holds neither/],
    ["a file that is not JSON", { "tokenizer.json": "{" }, /Cannot read .*tokenizer.json as it is not JSON/],
    [
      "a tokenizer.json without a model",
      { "tokenizer.json": "{}" },
      /tokenizer.json as 'model' is malformed/,
    ],
    [
      "a vocabulary of anything else",
      { "vocab.json": '{"a":"b"}', "merges.txt": "" },
      /'model.vocab' is malformed/,
    ],
    [
      "a damaged spiece.model",
      { "spiece.model": "\u0012\u0012" },
      /spiece.model as it is not a SentencePiece model/,
    ],
    ["an empty spiece.model", { "spiece.model": "" }, /spiece.model as .* with pieces.* 0 pieces/],
    [
      "a pad_token outside the vocabulary",
      { "vocab.json": '{"a":0}', "merges.txt": "", "tokenizer_config.json": '{"pad_token":"[PAD]"}' },
      /Cannot use the tokenizer in .*: 'pad_token' must be in the vocabulary: current value is \[PAD\]/,
    ],
    [
      "an unknown kind of step",
      { "tokenizer.json": '{"model":{"type":"BPE","vocab":{},"merges":[]},"normalizer":{"type":"Reverse"}}' },
      /Cannot use the tokenizer in .*Reverse/,
    ],
  ];
  for (const [what, files, message] of BROKEN) {
    it(`refuses ${what}`, () => {
      const folder = Deno.makeTempDirSync();
      try {
        for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${folder}/${name}`, text);
        assert.throws(
          () => openTokenizer(folder),
          (error) => error instanceof CheckpointError && message.test(error.message),
        );
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    });
  }
});
