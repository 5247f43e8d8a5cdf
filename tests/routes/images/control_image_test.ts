// A control image from the client's request to the picture: the edge and a worker in this process, with a
// tiny checkpoint and its ControlNet.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { encodeImage } from "../../../gpu-worker/media/encode_image.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import type { CompletedEvent } from "../../../protocol/wire/run_event.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { startTestWorker, type TestWorker } from "../../gpu-worker/http/test_worker.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import { findPython, runPython } from "../../service/python.ts";
import { testPool } from "../runs/pool.ts";

const MODEL = "tiny+canny";
const NET = goldenPath("control/sdxl/canny");
const python = findPython("openai");

/** openai of Python: a control image beside its own fields, as JSON and as a form. */
const SCRIPT = `
import base64, json, sys
from openai import OpenAI

url, control = sys.argv[1:]
client = OpenAI(base_url=url, api_key="unused", max_retries=0)
fields = dict(model="${MODEL}", prompt="red heart", n=1)
more = dict(seed=5, steps=4, control_image="data:image/png;base64," + control, control_scale=0.5)
generated = client.images.generate(**fields, extra_body=more)
edited = client.images.edit(
    image=("start.png", base64.b64decode(control), "image/png"), **fields,
    extra_body={**more, "strength": 0.5},
)
print(json.dumps([image.receipt["options"] for answer in (generated, edited) for image in answer.data]))
`;

describe("control_image", () => {
  let worker: TestWorker;
  let server: Deno.HttpServer<Deno.NetAddr>;
  let app: ReturnType<typeof createApp>;
  let client: OpenAI;
  let control: string;
  let other: string;

  before(async () => {
    worker = startTestWorker([
      await openPipeline(`${goldenPath("sdxl/tiny-sdxl")}+controlnet:${NET}`, { id: MODEL }),
    ]);
    app = createApp({
      workers: testPool(worker.url),
      results: new MemoryResultStore(),
      keys: [],
      keyStore: new MemoryKeyStore(),
      log: () => {},
    });
    server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, app.fetch);
    client = new OpenAI({ baseURL: `${url()}/v1`, apiKey: "unused", maxRetries: 0 });
    const data = loadGoldens("control").floats("input.control");
    const fileOf = async (pixels: Float32Array) =>
      (await encodeImage({ width: 24, height: 16, data: pixels })).toBase64();
    control = await fileOf(data);
    other = await fileOf(data.map((value) => -value));
  });
  after(async () => {
    app[Symbol.dispose]();
    await server.shutdown();
    await worker[Symbol.asyncDispose]();
  });

  const url = () => `http://127.0.0.1:${server.addr.port}`;
  const fields = { model: MODEL, prompt: "red heart", seed: 5, steps: 4 };
  type Picture = OpenAI.Image & Pick<CompletedEvent, "receipt">;
  const generate = async (more: object): Promise<Picture[]> => {
    const answer = await client.images.generate(
      { ...fields, ...more } as OpenAI.ImageGenerateParamsNonStreaming,
    );
    return answer.data as Picture[];
  };
  const post = (more: object) =>
    fetch(`${url()}/v1/images/generations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...fields, ...more }),
    });

  it("steers the picture, whose size is the image's, and stands in the receipt", async () => {
    const [first] = await generate({ control_image: `data:image/png;base64,${control}` });
    const { receipt } = first!;
    assert.deepEqual([receipt.width, receipt.height, receipt.cache], [24, 16, "miss"]);
    const { controlnet, control_scale, control_start, control_end } = receipt.options;
    assert.deepEqual([controlnet, control_scale, control_start, control_end], ["canny", 1, 0, 1]);
    const [again] = await generate({ control_image: control, controlnet: "canny", control_scale: 1 });
    assert.deepEqual([again!.receipt.cache, again!.b64_json], ["hit", first!.b64_json]);
    const [plain] = await generate({ size: "24x16" });
    const [inverse] = await generate({ control_image: other });
    const [weak] = await generate({ control_image: control, control_scale: 0.5 });
    const pictures = [first, plain, inverse, weak].map((picture) => picture!.b64_json);
    assert.equal(new Set(pictures).size, 4);
    assert.equal(plain!.receipt.options.controlnet, undefined);
  });

  it("draws several pictures of one image, as it draws each", async () => {
    const two = await generate({ control_image: control, seed: 70, n: 2 });
    const [second] = await generate({ control_image: control, seed: 71 });
    assert.equal(two.length, 2);
    assert.notEqual(two[0]!.b64_json, two[1]!.b64_json);
    assert.equal(second!.receipt.cache, "hit");
  });

  it("goes with a start image and a job", async () => {
    const form = new FormData();
    for (const [name, value] of Object.entries({ ...fields, strength: 0.5, background: true })) {
      form.append(name, String(value));
    }
    const file = (base64: string) => new File([Uint8Array.fromBase64(base64)], "image.png");
    form.append("image", file(other));
    form.append("control_image", file(control));
    form.append("control_end", "0.5");
    const accepted = await fetch(`${url()}/v1/images/edits`, { method: "POST", body: form });
    assert.equal(accepted.status, 202, await accepted.clone().text());
    const { id } = await accepted.json();
    const events = await (await fetch(`${url()}/v1/jobs/${id}/events`)).text();
    const completed = events.split("\n").findLast((line) =>
      line.startsWith("data:") && line.includes("receipt")
    )!;
    const { receipt } = JSON.parse(completed.slice(5));
    assert.deepEqual([receipt.options.strength, receipt.options.control_end], [0.5, 0.5]);
  });

  const REFUSED: [name: string, more: object, param: string, message: RegExp][] = [
    ["an address", { control_image: "https://example.com/a.png" }, "control_image", /data: URL/],
    [
      "an empty file",
      { control_image: "data:image/png;base64," },
      "control_image",
      /an image file in base64/,
    ],
    [
      "a file that is too large",
      { control_image: "A".repeat(11_184_940) },
      "control_image",
      /must be an image file of at most 8388608 bytes: current value is 11184940 characters long/,
    ],
    [
      "no image",
      { control_image: btoa("no image") },
      "control_image",
      /Cannot read 'control_image' as it is no image/,
    ],
    [
      "a scale without an image",
      { control_scale: 1 },
      "control_scale",
      /'control_scale' takes 'control_image'/,
    ],
    ["another name", { controlnet: "depth" }, "controlnet", /'controlnet'/],
    ["a mode", { control_mode: 1 }, "control_mode", /'control_mode' must be absent with canny/],
    [
      "a window of no step",
      { control_start: 1 },
      "control_start",
      /must be below 'control_end' \(1\), but is 1/,
    ],
  ];
  for (const [name, more, param, message] of REFUSED) {
    it(`refuses ${name}`, async () => {
      const own = "control_image" in more || param === "control_scale" ? {} : { control_image: control };
      const answer = await post({ ...own, ...more });
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.param], [400, param], error.message);
      assert.match(error.message, message);
    });
  }

  it("is listed by the model, with its names", async () => {
    const { data } = await (await fetch(`${url()}/v1/models`)).json();
    const [card] = data as { controlnets?: unknown; spectrum?: { controlnets?: unknown } }[];
    assert.deepEqual(card!.controlnets ?? card!.spectrum?.controlnets, [{ name: "canny" }]);
  });

  const skip = python === undefined && "Python's openai is not installed (SPECTRUM_PYTHON may name a Python)";
  it("openai of Python sends it in extra_body", { skip }, async () => {
    const answers = await runPython(python!, { script: SCRIPT, args: [`${url()}/v1`, control] });
    const [generated, edited] = answers as Record<string, unknown>[];
    assert.deepEqual([generated!["controlnet"], generated!["control_scale"]], ["canny", 0.5]);
    assert.deepEqual([edited!["controlnet"], edited!["control_scale"], edited!["strength"]], [
      "canny",
      0.5,
      0.5,
    ]);
  });
});
