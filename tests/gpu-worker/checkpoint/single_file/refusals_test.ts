// Files that are not models we can run: each is refused by what it is, in one line.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../../../../gpu-worker/checkpoint/checkpoint_error.ts";
import type { PartFiles } from "../../../../gpu-worker/checkpoint/part_files.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { type FileTensor, Twin, writeSafetensors } from "./twin.ts";

type Tensors = Map<string, FileTensor>;

function refuses(path: string, parts: PartFiles, message: RegExp): void {
  assert.throws(() => readModel(path, { parts }), (error) => {
    assert.ok(error instanceof CheckpointError, String(error));
    assert.match(error.message, message);
    assert.ok(error.message.length < 900 && !error.message.includes("\n"), error.message);
    return true;
  });
}

function refusesTwin(name: string, change: (tensors: Tensors) => void, message: RegExp): void {
  using twin = new Twin(name, change);
  refuses(twin.path, { components: twin.folder }, message);
}

const tensor = (...shape: number[]): FileTensor => {
  const count = shape.reduce((product, n) => product * n, 1);
  return { dtype: "F32", shape, data: new Uint8Array(4 * count) };
};

/** Writes a file of empty tensors with these names. */
function refusesNames(names: readonly string[], message: RegExp): void {
  const folder = Deno.makeTempDirSync();
  try {
    const path = join(folder, "model.safetensors");
    writeSafetensors(path, new Map(names.map((name) => [name, tensor(1)])));
    refuses(path, {}, message);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A cache of the hub in place of that of whoever runs the tests. */
class HubCache implements Disposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly #before = Deno.env.get("HF_HUB_CACHE");

  constructor() {
    Deno.env.set("HF_HUB_CACHE", this.#folder);
  }

  /** Stores `folder` as the snapshot of a repository. */
  add(repository: string, folder: string): void {
    const own = join(this.#folder, `models--${repository.replace("/", "--")}`);
    for (const name of ["refs", "snapshots"]) Deno.mkdirSync(join(own, name), { recursive: true });
    Deno.writeTextFileSync(join(own, "refs/main"), "abc");
    Deno.symlinkSync(folder, join(own, "snapshots/abc"));
  }

  [Symbol.dispose](): void {
    if (this.#before === undefined) Deno.env.delete("HF_HUB_CACHE");
    else Deno.env.set("HF_HUB_CACHE", this.#before);
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

const CONV_IN = "model.diffusion_model.input_blocks.0.0.weight";

describe("a single file that is something else", () => {
  const KINDS: [string, string[], RegExp][] = [
    [
      "kohya's LoRA",
      ["lora_unet_x.lora_down.weight", "lora_unet_x.alpha"],
      /it is a LoRA: give it as --lora FILE/,
    ],
    ["peft's LoRA", ["transformer.x.lora_A.weight"], /it is a LoRA/],
    ["a LyCORIS adapter", ["lora.x.hada_w1_a"], /LyCORIS/],
    ["a ControlNet", ["control_model.time_embed.0.weight"], /it is a ControlNet/],
    ["diffusers' ControlNet", ["controlnet_cond_embedding.conv_in.weight"], /it is a ControlNet/],
    ["a textual inversion", ["emb_params"], /textual inversion/],
    [
      "an autoencoder",
      ["decoder.mid.block_1.conv1.weight"],
      /of class AutoencoderKL alone: give it as --vae FILE/,
    ],
    [
      "a text encoder",
      ["text_model.encoder.layers.0.layer_norm1.weight"],
      /alone: give it as --text-encoder FILE/,
    ],
    ["AuraFlow", ["double_layers.0.attn.w1q.weight"], /AuraFlow/],
    ["something unknown", ["a.b"], /none of the models that are supported: .*\bStableDiffusion, /],
    ["nothing", [], /it holds no tensors/],
  ];
  for (const [kind, names, message] of KINDS) {
    it(`refuses ${kind}`, () => refusesNames(names, message));
  }

  for (
    const [channels, kind] of [[7, "an upscaler"], [8, "InstructPix2Pix"]] as const
  ) {
    it(`refuses ${kind}, by its input`, () =>
      refusesTwin(
        "sd15",
        (tensors) => void tensors.set(CONV_IN, tensor(8, channels, 3, 3)),
        new RegExp(`it is ${kind}.* \\(${channels} input channels\\)`),
      ));
  }

  it("refuses SDXL's refiner", () =>
    refusesTwin("sdxl", (tensors) => {
      for (const [name, value] of [...tensors]) {
        if (!name.startsWith("conditioner.embedders.1.")) continue;
        tensors.delete(name);
        tensors.set(name.replace("embedders.1.", "embedders.0."), value);
      }
    }, /SDXL's refiner/));

  it("refuses models of EDM's parametrisation", () =>
    refusesTwin("sdxl", (tensors) => void tensors.set("edm_mean", tensor(4)), /EDM's/));

  it("refuses FLUX.1's control models", () =>
    refusesTwin(
      "flux-schnell",
      (tensors) => {
        const [rows = 0] = tensors.get("img_in.weight")!.shape;
        tensors.set("img_in.weight", tensor(rows, 128));
      },
      /FLUX.1 with a control picture/,
    ));

  const PICKLES: [string, number[]][] = [
    ["torch's zip", [0x50, 0x4b, 3, 4, 0, 0, 8, 8, 0, 0]],
    ["torch's older format", [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46]],
  ];
  for (const [kind, bytes] of PICKLES) {
    it(`refuses ${kind}`, () => {
      const folder = Deno.makeTempDirSync();
      const path = join(folder, "model.ckpt");
      Deno.writeFileSync(path, Uint8Array.from(bytes));
      refuses(path, {}, /it is a pickle .* Try the same model as \.safetensors/);
      refuses(goldenPath("sdxl/tiny-sd15"), { vae: path }, /it is a pickle/);
      Deno.removeSync(folder, { recursive: true });
    });
  }
});

describe("a single file that is damaged or incomplete", () => {
  it("is refused with its first unknown tensors and their number", () =>
    refusesTwin(
      "sd15",
      (tensors) => {
        for (let i = 0; i < 7; i++) tensors.set(`extra.${i}`, tensor(1));
      },
      /7 of its tensors belong to no part of the model: 'extra\.0', 'extra\.1', 'extra\.2', 'extra\.3', 'extra\.4', \.\.\./,
    ));

  it("is refused if its names are of two layouts", () =>
    refusesTwin(
      "flux-schnell",
      (tensors) => {
        const name = "double_blocks.0.img_mlp.0.weight";
        tensors.set("transformer_blocks.0.ff.net.0.proj.weight", tensors.get(name)!);
        tensors.delete(name);
      },
      /1 of its tensors belongs to no part of the model: 'transformer_blocks\.0\.ff\.net\.0\.proj\.weight'/,
    ));

  it("is refused if it holds two models", () =>
    refusesTwin(
      "flux-dev",
      (tensors) => void tensors.set("model.diffusion_model.middle_block.0.in_layers.2.weight", tensor(1)),
      /holds the tensors of two models: FluxTransformer2DModel and UNet2DConditionModel/,
    ));

  it("is refused if a tensor is missing", () =>
    refusesTwin(
      "sd15",
      (tensors) => void tensors.delete("model.diffusion_model.middle_block.1.norm.weight"),
      /no tensor 'mid_block\.attentions\.0\.norm\.weight'/,
    ));

  it("is refused if a tensor that decides a size is missing", () =>
    refusesTwin(
      "flux-schnell",
      (tensors) => void tensors.delete("txt_in.weight"),
      /lacks the tensor that diffusers calls 'context_embedder\.weight'/,
    ));

  it("is refused if fused rows do not divide", () =>
    refusesTwin(
      "flux-schnell",
      (tensors) => void tensors.set("double_blocks.0.img_attn.qkv.weight", tensor(4, 2)),
      /'double_blocks\.0\.img_attn\.qkv\.weight' .* its rows must divide into 1 \+ 1 \+ 1 parts: its shape is \[4,2\]/,
    ));

  it("is refused if it is truncated", () => {
    using twin = new Twin("flux-schnell");
    Deno.truncateSync(twin.path, 100_000);
    refuses(twin.path, { components: twin.folder }, /truncated/);
  });
});

describe("parts from elsewhere", () => {
  it("are named with the command that fetches them", () => {
    using _cache = new HubCache();
    using twin = new Twin("flux-schnell");
    refuses(
      twin.path,
      {},
      /FLUX\.1 \[schnell\].*lacks vae, text_encoder, text_encoder_2, .*`deno task pull --only vae,text_encoder,text_encoder_2 black-forest-labs\/FLUX\.1-schnell`/,
    );
    using whole = new Twin("sdxl");
    refuses(
      whole.path,
      {},
      /Stable Diffusion XL.* lacks configs and tokenizers\. Try `deno task pull --config-only stabilityai\/stable-diffusion-xl-base-1\.0`/,
    );
  });

  it("come from the repository of the model if it is in the cache", () => {
    using twin = new Twin("flux-schnell");
    using cache = new HubCache();
    cache.add("black-forest-labs/FLUX.1-schnell", twin.folder);
    const { checkpoint } = readModel(twin.path);
    assert.equal(checkpoint.title, "FLUX.1 [schnell]");
    assert.deepEqual(checkpoint.components().map(({ name }) => name), [
      "text_encoder",
      "text_encoder_2",
      "transformer",
      "vae",
    ]);
  });

  it("are refused if they are of another pipeline, or do not belong to it", () => {
    using twin = new Twin("sd15");
    refuses(twin.path, { components: goldenPath("flux/tiny-dev") }, /must be a StableDiffusionPipeline's/);
    const components = twin.folder;
    refuses(twin.path, { components, text_encoder_3: "x.safetensors" }, /has no 'text_encoder_3'/);
    refuses(twin.path, { components, vae: "x.safetensors" }, /x\.safetensors as it does not exist/);
    const vae = join(goldenPath("sdxl/tiny-sd15"), "unet/diffusion_pytorch_model.safetensors");
    refuses(twin.path, { components, vae }, /holds no network of class AutoencoderKL/);
    refuses(goldenPath("sdxl/tiny-sd15"), { components }, /is not a single file/);
  });

  it("are found missing in a folder that has only configs and tokenizers", () => {
    using twin = new Twin("flux-schnell");
    const folder = Deno.makeTempDirSync();
    cpSync(twin.folder, folder, { recursive: true });
    Deno.removeSync(join(folder, "text_encoder_2/model.safetensors"));
    refuses(twin.path, { components: folder }, /is not complete: it lacks text_encoder_2, /);
    Deno.removeSync(folder, { recursive: true });
  });
});
