// Clients and apps that people already have, against `task start` by base URL alone: the names, sizes and
// formats that they have built in are all that they are told.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { findPython, runPython } from "./python.ts";
import { type Service, startService } from "./service.ts";

const SHARED = `
import base64, json, os, sys, urllib.request
url = sys.argv[1] + "/v1"
os.environ.update(OPENAI_API_KEY="unused", OPENAI_BASE_URL=url, OPENAI_API_BASE=url)

def fetched(address):
    with urllib.request.urlopen(address) as answer:
        return base64.b64encode(answer.read()).decode()
`;

/** Each prints a list of pictures in base64. */
const PYTHON: { name: string; modules: string[]; script: string }[] = [
  {
    name: "openai, with DALL-E's names and GPT Image's",
    modules: ["openai"],
    script: `
from openai import OpenAI
client = OpenAI()
known = {model.id for model in client.models.list()}
assert {"dall-e-2", "dall-e-3", "gpt-image-1", "sora-2"} <= known, known
shape = dict(size="1024x1792", quality="hd", style="vivid")
hd = client.images.generate(model="dall-e-3", prompt="red heart", **shape)
heart = dict(model="gpt-image-1", prompt="red heart")
new = client.images.generate(**heart, size="1024x1024", background="transparent", moderation="low")
last = list(client.images.generate(**heart, stream=True, partial_images=1))[-1]
start = ("start.png", base64.b64decode(new.data[0].b64_json), "image/png")
edit = client.images.edit(model="gpt-image-1", image=start, prompt="blue heart", size="1024x1024")
print(json.dumps([fetched(hd.data[0].url), new.data[0].b64_json, last.b64_json, edit.data[0].b64_json]))
`,
  },
  {
    name: "openai's videos, with Sora's name",
    modules: ["openai"],
    script: `
from openai import OpenAI
client = OpenAI()
shape = dict(seconds="4", size="720x1280", poll_interval_ms=200)
video = client.videos.create_and_poll(model="sora-2", prompt="a red ball moves right", **shape)
assert (video.status, video.model) == ("completed", "sora-2"), video
still = client.videos.download_content(video.id, variant="thumbnail").read()
print(json.dumps([base64.b64encode(still).decode()]))
`,
  },
  {
    name: "LiteLLM",
    modules: ["litellm"],
    script: `
import litellm
answer = litellm.image_generation(model="openai/dall-e-3", prompt="red heart", size="1024x1024", api_base=url)
print(json.dumps([fetched(answer.data[0].url)]))
`,
  },
  {
    name: "LangChain's DallEAPIWrapper",
    modules: ["langchain_community", "openai"],
    script: `
from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper
addresses = [DallEAPIWrapper().run("red heart"), DallEAPIWrapper(model="dall-e-3", n=1).run("red heart")]
print(json.dumps([fetched(address) for address in addresses]))
`,
  },
  {
    // Its package of today is not on every registry. llama-hub has the same tool, for the modules of an
    // older LlamaIndex.
    name: "LlamaIndex's OpenAI image tool, as llama-hub has it",
    modules: ["llama_hub.tools", "llama_index.core", "openai", "PIL"],
    script: `
import tempfile, types
from llama_index.core.tools.tool_spec import base
for name in ("llama_index.tools", "llama_index.tools.tool_spec"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["llama_index.tools.tool_spec.base"] = base
from llama_hub.tools.openai_image_generation import OpenAIImageGenerationToolSpec
spec = OpenAIImageGenerationToolSpec(api_key="unused", cache_dir=tempfile.mkdtemp())
path = spec.to_tool_list()[0](text="red heart").raw_output
print(json.dumps([base64.b64encode(open(path, "rb").read()).decode()]))
`,
  },
  {
    // Releases from 2 on have no command.
    name: "the openai command",
    modules: ["openai.cli"],
    script: `
import subprocess
command = [sys.executable, "-m", "openai", "api", "images.generate", "-p", "red heart"]
shapes = [["-m", "dall-e-3", "-s", "1024x1024"], ["-m", "dall-e-2", "--response-format", "b64_json"]]
answers = [json.loads(subprocess.check_output(command + shape)) for shape in shapes]
print(json.dumps([fetched(answers[0]["data"][0]["url"]), answers[1]["data"][0]["b64_json"]]))
`,
  },
];

/** The `ai` package, which is installed for this test alone. Prints as the scripts above. */
const AI = `
import { createOpenAI } from "npm:@ai-sdk/openai@4.0.118";
import { generateImage } from "npm:ai@7.0.173";
const openai = createOpenAI({ baseURL: Deno.args[0] + "/v1", apiKey: "unused" });
const pictures = [];
const sizes = { "dall-e-3": "1024x1024", "gpt-image-1": "1024x1024", "models/emoji": "64x64" };
for (const [name, size] of Object.entries(sizes)) {
  const { image } = await generateImage({ model: openai.image(name), prompt: "red heart", size });
  pictures.push(image.base64);
}
console.log(JSON.stringify(pictures));
`;

/** Runs `AI` outside this workspace. undefined: the packages cannot be had here. */
async function runAi(...args: string[]): Promise<string[] | undefined> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/ai.ts`;
    await Deno.writeTextFile(path, AI);
    const flags = ["--no-config", "--no-lock", "--node-modules-dir=none", "--quiet"];
    const run = (...command: string[]) =>
      new Deno.Command(Deno.execPath(), { args: command, signal: AbortSignal.timeout(120_000) }).output();
    if (!(await run("cache", ...flags, path)).success) return undefined;
    const { success, stdout, stderr } = await run("run", "-A", ...flags, path, ...args);
    assert.ok(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Bodies in the shapes that the apps send, written from what is known of them. */
const SHAPES: { name: string; path: string; body: Record<string, unknown> }[] = [
  {
    name: "Open WebUI, engine openai",
    path: "/v1/images/generations",
    body: { model: "dall-e-2", prompt: "red heart", n: 1, size: "512x512", response_format: "b64_json" },
  },
  {
    name: "Open WebUI, engine automatic1111",
    path: "/sdapi/v1/txt2img",
    body: { prompt: "red heart", batch_size: 1, width: 512, height: 512, steps: 50, negative_prompt: "" },
  },
  {
    name: "LibreChat's DALL-E 3 tool",
    path: "/v1/images/generations",
    body: {
      model: "dall-e-3",
      quality: "standard",
      style: "vivid",
      size: "1024x1792",
      prompt: "red heart",
      n: 1,
    },
  },
  {
    name: "n8n's OpenAI node",
    path: "/v1/images/generations",
    body: {
      prompt: "red heart",
      model: "dall-e-3",
      quality: "hd",
      size: "1792x1024",
      style: "natural",
      response_format: "b64_json",
    },
  },
  {
    name: "ComfyUI's OpenAI nodes",
    path: "/images/generations/",
    body: {
      model: "gpt-image-1",
      prompt: "red heart",
      quality: "low",
      background: "transparent",
      n: "1",
      size: "auto",
      moderation: "low",
      seed: -1,
    },
  },
  {
    name: "SillyTavern's Stable Diffusion extension",
    path: "/sdapi/v1/txt2img",
    body: {
      prompt: "red heart",
      negative_prompt: "lowres, bad anatomy",
      sampler_name: "Euler a",
      scheduler: "automatic",
      steps: 20,
      cfg_scale: 7,
      width: 512,
      height: 768,
      restore_faces: false,
      enable_hr: false,
      denoising_strength: 0.7,
      save_images: true,
      send_images: true,
      do_not_save_grid: false,
      override_settings: { CLIP_stop_at_last_layers: 1 },
      override_settings_restore_afterwards: true,
    },
  },
];

async function assertPicture(base64: string): Promise<void> {
  const { width, height } = await sharp(Uint8Array.fromBase64(base64)).metadata();
  assert.ok(width === height && (width === 64 || width === 48), `${width}x${height}`);
}

describe("clients and apps by base URL alone", () => {
  let service: Service;
  before(async () => {
    service = await startService({}, "--models", "models/emoji,models/shapes", "--max-loaded", "2");
  });
  after(() => service[Symbol.asyncDispose]());

  for (const { name, modules, script } of PYTHON) {
    const python = findPython(...modules);
    const skip = python === undefined &&
      `Python has no ${modules.join(", ")} (SPECTRUM_PYTHON may name another Python)`;
    it(name, { skip }, async () => {
      const pictures = await runPython(python!, { script: SHARED + script, args: [service.url] }) as string[];
      assert.ok(pictures.length > 0);
      for (const picture of pictures) await assertPicture(picture);
    });
  }

  it("ai with @ai-sdk/openai", async (t) => {
    const pictures = await runAi(service.url);
    if (pictures === undefined) return t.skip("npm's registry cannot be reached");
    for (const picture of pictures) await assertPicture(picture);
  });

  for (const { name, path, body } of SHAPES) {
    it(name, async () => {
      const response = await fetch(service.url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      const answer = await response.json();
      assert.equal(response.status, 200, JSON.stringify(answer));
      const [picture] = answer.images ?? answer.data;
      const { b64_json, url } = typeof picture === "string" ? { b64_json: picture, url: undefined } : picture;
      await assertPicture(b64_json ?? (await (await fetch(url)).bytes()).toBase64());
    });
  }
});
