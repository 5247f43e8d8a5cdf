// --model and --lora of the commands, and the model names that a worker accepts.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { defaultExpName } from "../../../gpu-worker/cli/batch/batch_arguments.ts";
import { MODEL_FLAGS, readModelName } from "../../../gpu-worker/flags/model_flags.ts";
import { readFlags } from "../../../protocol/process/read_flags.ts";
import { parseWorkerArguments } from "../../../gpu-worker/http/worker_arguments.ts";
import { UsageError } from "../../../protocol/process/usage_error.ts";

const read = (...args: string[]) => readModelName(readFlags(args, MODEL_FLAGS));

describe("readModelName()", () => {
  it("puts LoRAs behind the model, in their order", () => {
    assert.equal(read(), "models/emoji");
    assert.equal(
      read("--lora", "a.safetensors:-0.50", "--model=ORG/NAME", "--lora=b/c.safetensors"),
      "ORG/NAME+a.safetensors:-0.5+b/c.safetensors",
    );
  });

  for (const lora of ["a.bin", "a.safetensors:", "a.safetensors:x", "a+b.safetensors", "a,b.safetensors"]) {
    it(`refuses --lora ${lora}`, () => {
      assert.throws(
        () => read("--lora", lora),
        (error) => error instanceof UsageError && error.message.includes(`'${lora}'`),
      );
    });
  }
});

describe("defaultExpName()", () => {
  it("keeps LoRAs and their weights apart", () => {
    assert.equal(defaultExpName("models/emoji+x/ink.safetensors:0.7", "none"), "emoji+ink@0.7/none");
    assert.equal(defaultExpName("ORG/NAME", "spectrum"), "NAME/spectrum");
  });
});

describe("parseWorkerArguments()", () => {
  it("takes a model with and without a LoRA as two", () => {
    const models = ["models/emoji", "models/emoji+a.safetensors:0.7"];
    const served = parseWorkerArguments(["--models", models.join(",")])?.models;
    assert.deepEqual(served, models.map((model) => ({ id: model, model })));
  });

  it("takes names for models, and each name once", () => {
    const parsed = parseWorkerArguments([
      "--models",
      "xl=/a/b=c.safetensors+d.safetensors,/x=y/z",
      "--vae",
      "v.safetensors",
    ])!;
    assert.deepEqual(parsed.models, [
      { id: "xl", model: "/a/b=c.safetensors+d.safetensors" },
      { id: "/x=y/z", model: "/x=y/z" },
    ]);
    assert.deepEqual(parsed.parts, { vae: "v.safetensors" });
    assert.throws(() => parseWorkerArguments(["--models", "a=x,a=y"]), /gives the name 'a' to two models/);
  });

  it("refuses a name that no request could carry", () => {
    const model = `models/emoji+${"a".repeat(240)}.safetensors`;
    assert.throws(() => parseWorkerArguments(["--models", model]), /at most 256 characters/);
  });
});

describe("parseWorkerArguments() and memory", () => {
  it("takes --offload and --vae-tiling as the other commands do", () => {
    assert.deepEqual(parseWorkerArguments([])!.memory, { offload: false, vaeTiling: false });
    const { memory } = parseWorkerArguments(["--offload", "--vae-tiling"])!;
    assert.deepEqual(memory, { offload: true, vaeTiling: true });
  });
});

describe("parseWorkerArguments() and --concurrency", () => {
  it("takes runs at once on the CPU", () => {
    assert.equal(parseWorkerArguments([])!.concurrency, 1);
    assert.equal(parseWorkerArguments(["--concurrency", "2"])!.concurrency, 2);
  });

  for (
    const [args, message] of [
      [["--concurrency", "0"], /--concurrency must be a whole number in 1..64: current value is 0/],
      [
        ["--concurrency", "2", "--device", "cuda"],
        /--concurrency takes --device cpu: current value is 'cuda'/,
      ],
      [["--concurrency", "2", "--offload"], /--concurrency cannot go with --offload/],
    ] as const
  ) {
    it(`refuses ${args.join(" ")}`, () => {
      assert.throws(() => parseWorkerArguments(args), message);
    });
  }
});
