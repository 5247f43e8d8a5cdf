// Image to video against the real `deno task start`: OpenAI's clients send a first frame in each of their
// ways.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import OpenAI from "openai";
import sharp from "sharp";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { Receipt } from "../../protocol/wire/receipt.ts";
import { goldenPath } from "../goldens/golden.ts";
import { until } from "../until.ts";
import { findPython, runPython } from "./python.ts";
import { type Service, startService } from "./service.ts";

const [REQUIRED, OPTIONAL, NONE] = ["frames/tiny-a14b", "wan/tiny-ti2v", "wan/tiny-unipc"].map(
  goldenPath,
) as [
  string,
  string,
  string,
];
const HUNYUAN = goldenPath("hunyuan_video/tiny-replace");
const FIRST = Deno.readFileSync(goldenPath("frames/first.png"));
const LAST = Deno.readFileSync(goldenPath("frames/last.png"));
const PYTHON = findPython("openai");

interface Finished extends OpenAI.Video {
  receipt?: Receipt;
}

describe("openai client, videos from a first frame", () => {
  let service: Service;
  let client: OpenAI;
  before(async () => {
    service = await startService({}, "--models", [REQUIRED, OPTIONAL, NONE, HUNYUAN].join(","));
    client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: "unused", maxRetries: 0 });
  });
  after(() => service[Symbol.asyncDispose]());

  const FIELDS = { prompt: "a red heart", num_frames: 5, steps: 3, seed: 7, size: "32x32" };

  const finish = async (id: string) =>
    await until(async () => {
      const video = await client.videos.retrieve(id);
      return !["queued", "in_progress"].includes(video.status) && video as Finished;
    }, { every: 20 });

  const make = async (fields: Record<string, unknown>) => {
    const asked = { ...FIELDS, ...fields };
    const { id } = await client.videos.create(asked as unknown as OpenAI.VideoCreateParams);
    const video = await finish(id);
    assert.equal(video.status, "completed", JSON.stringify(video.error));
    const content = await client.videos.downloadContent(id);
    return { video, bytes: new Uint8Array(await content.arrayBuffer()) };
  };

  const file = (bytes: Uint8Array<ArrayBuffer>) => OpenAI.toFile(bytes, "frame.png", { type: "image/png" });
  const url = `data:image/png;base64,${FIRST.toBase64()}`;

  it("takes a file, an object with a data URL and JSON, and makes one video of them", async () => {
    const model = REQUIRED;
    const sent = await make({ model, input_reference: await file(FIRST) });
    assert.equal(sent.video.receipt!.cache, "miss");
    const named = await make({ model, input_reference: { image_url: url } });
    assert.equal(named.video.receipt!.cache, "hit");
    assert.deepEqual(named.bytes, sent.bytes);
    const posted = await fetch(`${service.url}/v1/videos`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...FIELDS, model, input_reference: { image_url: url } }),
    });
    assert.equal((await finish((await posted.json()).id)).receipt!.cache, "hit");
    const other = await make({ model, input_reference: await file(LAST) });
    assert.equal(other.video.receipt!.cache, "miss");
    assert.notDeepEqual(other.bytes, sent.bytes);
  });

  it("ends a video with a last frame, which is another video", async () => {
    const frames = { model: REQUIRED, input_reference: await file(FIRST) };
    const both = await make({ ...frames, last_frame: await file(LAST) });
    assert.equal(both.video.receipt!.cache, "miss");
    assert.notDeepEqual(both.bytes, (await make(frames)).bytes);
    assert.deepEqual((await make({ ...frames, last_frame: await file(LAST) })).bytes, both.bytes);
  });

  it("gives the video the first frame's proportions unless it has a size", async () => {
    const { video } = await make({
      model: OPTIONAL,
      size: "auto",
      input_reference: await OpenAI.toFile(
        await sharp(FIRST).resize(64, 16, { fit: "fill" }).png().toBuffer(),
        "wide.png",
      ),
      steps: 1,
      num_frames: 1,
    });
    const [width, height] = video.size.split("x").map(Number) as [number, number];
    assert(width / height > 3.5 && width / height < 4.5, video.size);
  });

  it("makes videos of two seeds with HunyuanVideo, which LLaVA sees the frame for", async () => {
    const fields = { model: HUNYUAN, negative_prompt: "blurry", true_cfg_scale: 2 };
    const first = await make({ ...fields, input_reference: await file(FIRST) });
    const next = await make({ ...fields, input_reference: await file(FIRST), seed: 8 });
    const other = await make({ ...fields, input_reference: await file(LAST) });
    assert.equal(first.video.receipt!.cache, "miss");
    assert.notDeepEqual(next.bytes, first.bytes);
    assert.notDeepEqual(other.bytes, first.bytes);
  });

  it("says which models need a first frame", async () => {
    const cards = (await client.models.list()).data as unknown as (OpenAI.Model & ModelCard)[];
    const firstOf = (id: string) => cards.find((card) => card.id === id)!.video!.first_frame ?? "none";
    assert.deepEqual([REQUIRED, OPTIONAL, NONE, HUNYUAN].map(firstOf), [
      "required",
      "optional",
      "none",
      "required",
    ]);
  });

  it("refuses frames that do not fit the model, and files that are no frames, by name", async () => {
    const animated = await sharp([
      { create: { width: 32, height: 32, channels: 3, background: "red" } },
      { create: { width: 32, height: 32, channels: 3, background: "blue" } },
    ] as unknown as string[], { join: { animated: true } }).gif().toBuffer();
    const tiny = await sharp({ create: { width: 1, height: 1, channels: 3, background: "red" } }).png()
      .toBuffer();
    const REFUSED: [fields: object, param: string, message: RegExp][] = [
      [{ model: REQUIRED }, "input_reference", /must be given with this model/],
      [{ model: HUNYUAN }, "input_reference", /must be given with this model/],
      [
        { model: HUNYUAN, input_reference: await file(FIRST), last_frame: await file(LAST) },
        "last_frame",
        /takes a first frame alone/,
      ],
      [
        { model: HUNYUAN, input_reference: await file(FIRST), num_frames: 1 },
        "num_frames",
        /5\.\.257/,
      ],
      [
        { model: NONE, input_reference: await file(FIRST) },
        "input_reference",
        /makes videos from text alone/,
      ],
      [
        { model: OPTIONAL, input_reference: await file(FIRST), last_frame: await file(LAST) },
        "last_frame",
        /takes a first frame alone/,
      ],
      [{ model: REQUIRED, last_frame: await file(LAST) }, "last_frame", /takes 'input_reference'/],
      [
        { model: REQUIRED, input_reference: await file(new Uint8Array([1, 2])) },
        "input_reference",
        /no image/,
      ],
      [
        { model: REQUIRED, input_reference: await file(new Uint8Array(animated)) },
        "input_reference",
        /2 frames/,
      ],
      [
        { model: REQUIRED, input_reference: await file(new Uint8Array(tiny)) },
        "input_reference",
        /16x16.*1x1/,
      ],
      [
        { model: REQUIRED, input_reference: { image_url: "https://example.com/a.png" } },
        "input_reference",
        /data URL/,
      ],
    ];
    for (const [fields, param, message] of REFUSED) {
      const error = await client.videos.create(
        { ...FIELDS, ...fields } as unknown as OpenAI.VideoCreateParams,
      )
        .then(
          () => assert.fail(`${message} was not refused`),
          (error) => error as InstanceType<typeof OpenAI.APIError>,
        );
      assert.deepEqual([error.status, error.param], [400, param], error.message);
      assert.match(error.message, message);
    }
    // Only the header of a truncated file is read before its turn.
    const { id } = await client.videos.create({
      ...FIELDS,
      model: REQUIRED,
      input_reference: await file(FIRST.slice(0, FIRST.length / 2)),
    } as unknown as OpenAI.VideoCreateParams);
    const { status, error } = await finish(id);
    assert.equal(status, "failed");
    assert.match(error!.message, /Cannot read 'input_reference' as it is no image, or a damaged one/);
  });

  it("serves OpenAI's client in Python", { skip: PYTHON === undefined }, async () => {
    const script = `
import json, sys, time
from openai import OpenAI
url, model, path = sys.argv[1:]
client = OpenAI(base_url=url, api_key="unused", max_retries=0)
fields = {"num_frames": 5, "steps": 3, "seed": 7}
with open(path, "rb") as frame:
    video = client.videos.create(
        prompt="a red heart", model=model, size="32x32", input_reference=frame, extra_body=fields)
while video.status in ("queued", "in_progress"):
    time.sleep(0.05)
    video = client.videos.retrieve(video.id)
content = client.videos.download_content(video.id).read()
print(json.dumps([video.status, content.hex()]))
`;
    const args = [`${service.url}/v1`, REQUIRED, goldenPath("frames/first.png")];
    const [status, hex] = await runPython(PYTHON!, { script, args }) as [string, string];
    assert.equal(status, "completed");
    const { bytes } = await make({ model: REQUIRED, input_reference: await file(FIRST) });
    assert.deepEqual(Uint8Array.fromHex(hex), bytes);
  });
});
