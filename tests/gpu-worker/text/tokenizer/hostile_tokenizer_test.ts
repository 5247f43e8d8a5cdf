// Tokenizer files that would hang or abort the process are rejected when they are opened,
// with an error that names the fault.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { CheckpointError } from "../../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { checkCharsmap } from "../../../../gpu-worker/text/tokenizer/check_charsmap.ts";
import { checkPattern } from "../../../../gpu-worker/text/tokenizer/check_pattern.ts";
import { openTokenizer, type Tokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath } from "../../../goldens/golden.ts";

/** Patterns of CLIP, GPT-2, LLaMA 3 and Qwen, GPT-4o, and of transformers' conversions. */
const PUBLISHED = [
  String.raw`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`,
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}`,
    String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ].join("|"),
  [
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{M}]*[\p{Ll}\p{M}]+(?i:'s|'t)?`,
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{M}]+[\p{Ll}\p{M}]*(?i:'s|'t)?|\p{N}{1,3}`,
    String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ].join("|"),
  String.raw`\s+`,
  " {2,}",
  "▁[^▁]*|[^▁]+",
  String.raw`[\[\]()&&[^a]]|[[:alpha:]]+`,
];
const HOSTILE = [
  "(x+x+)+y",
  "(a|a)*b",
  "(?:a?){30}a{30}",
  "(?=(x+x+)+y)",
  "x*x*x*x*y",
  "x*y",
  "(?:x*)y|a",
  "x++y|(?>x+)+y",
  "x{1,1000}{1,1000}",
  String.raw`(x)\1`,
  String.raw`(?<n>x\g<n>)`,
  "(?~abc)",
  "(".repeat(5000),
  "[a",
  "x".repeat(20_000),
];

describe("checkPattern()", () => {
  for (const pattern of PUBLISHED) {
    it(`takes ${pattern.slice(0, 60)}`, () => assert.equal(checkPattern(pattern), undefined));
  }
  for (const pattern of HOSTILE) {
    it(`refuses ${pattern.slice(0, 60)}`, () => assert.equal(typeof checkPattern(pattern), "string"));
  }
});

describe("checkCharsmap()", () => {
  const golden = JSON.parse(
    Deno.readTextFileSync(goldenPath("flux/tiny-schnell/tokenizer_2/tokenizer.json")),
  );
  const rules: string = golden.normalizer.precompiled_charsmap;

  it("takes SentencePiece's compiled rules", () => assert.ok(checkCharsmap(rules)));

  it("refuses rules that lead out of bounds", () => {
    const bytes = Uint8Array.fromBase64(rules);
    assert.equal(checkCharsmap(""), false);
    assert.equal(checkCharsmap("?"), false);
    assert.equal(checkCharsmap(bytes.subarray(0, 1000).toBase64()), false);
    assert.equal(checkCharsmap(bytes.with(0, 0xff).with(1, 0xff).toBase64()), false);
    assert.equal(checkCharsmap(bytes.with(6, 0xff).with(7, 0x7f).toBase64()), false);
    assert.equal(checkCharsmap(bytes.with(bytes.length - 2, 0xff).toBase64()), false);
  });
});

describe("openTokenizer() of hostile files", () => {
  const model = { type: "BPE", vocab: { x: 0, y: 1, "</s>": 2 }, merges: [], unk_token: "x" };
  const split = (pattern: string) => ({
    type: "Split",
    pattern: { Regex: pattern },
    behavior: "Isolated",
    invert: false,
  });
  const token = (id: number, content: string) => ({ id, content, special: false });
  const CASES: [what: string, json: unknown, message: RegExp][] = [
    [
      "a pattern of exponential time",
      { model, pre_tokenizer: split("(x+x+)+y") },
      /'pre_tokenizer.pattern' must be.*\(x\+x\+\)\+y/,
    ],
    [
      "one deep within",
      {
        model,
        normalizer: {
          type: "Sequence",
          normalizers: [{ type: "Replace", pattern: { Regex: "(a|a)*b" }, content: "" }],
        },
      },
      /'normalizer.pattern' must be/,
    ],
    [
      "compiled rules that lead nowhere",
      { model, normalizer: { type: "Precompiled", precompiled_charsmap: "BAAAAP////8=" } },
      /'normalizer.precompiled_charsmap' must be/,
    ],
    [
      "a template of unknown tokens",
      {
        model,
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "Q", type_id: 0 } }],
          pair: [],
          special_tokens: {},
        },
      },
      /'post_processor.special_tokens' must be.*Q/,
    ],
    [
      "a template without a type",
      {
        model,
        post_processor: { type: "Sequence", processors: [{ single: [null, { SpecialToken: { id: "Q" } }] }] },
      },
      /'post_processor.special_tokens' must be.*Q/,
    ],
    [
      "a token of megabytes",
      { model, added_tokens: [token(3, "q".repeat(5e6))] },
      /'added_tokens' must be names of at most/,
    ],
    [
      "a piece of megabytes",
      { model: { ...model, vocab: { ...model.vocab, ["q".repeat(5e6)]: 3 } } },
      /'vocab' must be names/,
    ],
    [
      "added tokens of megabytes together",
      { model, added_tokens: Array.from({ length: 5000 }, (_, i) => token(3 + i, `${i}`.padEnd(900, "q"))) },
      /'added_tokens' must be at most/,
    ],
    [
      "a unigram model without unknown tokens",
      { model: { type: "Unigram", vocab: [["</s>", 0]] } },
      /'model.unk_id' must be/,
    ],
    ["a model of words without its unknown one", {
      model: { type: "WordLevel", vocab: { "</s>": 0 }, unk_token: "?" },
    }, /'model.unk_token' must be/],
  ];
  for (const [what, json, message] of CASES) {
    it(`refuses ${what}`, () =>
      assert.throws(
        () => open(json),
        (error) =>
          error instanceof CheckpointError && message.test(error.message) && error.message.length < 700,
      ));
  }

  it("finds one of 100,000 added tokens", async () => {
    const added = Array.from({ length: 100_000 }, (_, i) => token(3 + i, `<token-${i}>`));
    const { ids } = await open({ model, added_tokens: added }).encode("x<token-99999>y", { maxLength: 4 });
    assert.deepEqual(ids, [0, 100_002, 1, 2]);
  });

  function open(json: unknown): Tokenizer {
    const folder = Deno.makeTempDirSync();
    try {
      Deno.writeTextFileSync(`${folder}/tokenizer.json`, JSON.stringify(json));
      Deno.writeTextFileSync(`${folder}/tokenizer_config.json`, JSON.stringify({ pad_token: "</s>" }));
      return openTokenizer(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }
});
