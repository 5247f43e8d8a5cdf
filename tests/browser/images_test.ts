// Images that models look at, and a video's frames, on the page in a real Chromium.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Browser, Page } from "playwright-core";
import { encodeImage } from "../../gpu-worker/media/encode_image.ts";
import { goldenPath } from "../goldens/golden.ts";
import { skipWithout } from "../installed.ts";
import { findChromium, launchChromium, openPage, type OpenPageOptions } from "./chromium.ts";
import { look, violations } from "./look.ts";
import { type Service, startService } from "./service.ts";

const executablePath = findChromium();
const skip = skipWithout("chromium", { found: executablePath, hint: "CHROMIUM may name one" });
/** Looks at up to ten images. */
const LOOKS = "klein";
/** Takes a first and a last frame. */
const FRAMES = "frames";
/** Needs a first frame, and makes at least five. */
const HELD = "held";

describe("images on the page", { skip }, () => {
  let service: Service;
  let chromium: Browser;
  before(async () => {
    const models = [
      "models/emoji",
      `${LOOKS}=${goldenPath("flux2/tiny-base")}`,
      `${FRAMES}=${goldenPath("frames/tiny-a14b")}`,
      `${HELD}=${goldenPath("hunyuan_video/tiny-replace")}`,
    ];
    service = await startService("start", {
      args: ["--port", "0", "--models", models.join(), "--max-loaded", "3"],
    });
    chromium = await launchChromium(executablePath!);
  });
  after(async () => {
    await chromium.close();
    await service[Symbol.asyncDispose]();
  });

  const open = async (model: string, options: Partial<OpenPageOptions> = {}) => {
    const browser = await openPage(chromium, { url: service.url, ...options });
    await browser.page.getByLabel("Model", { exact: true }).selectOption(model);
    return browser;
  };

  it("takes references by file picker, drop and paste, in an order, up to the model's number", async () => {
    await using browser = await open(LOOKS);
    const { page } = browser;
    const names = () => page.locator(".reference-name").allInnerTexts();
    assert.equal(await page.locator("#image-field").isVisible(), false);
    await page.locator("#references").setInputFiles([
      await file("a.png", 96, 64),
      await file("b.png", 64, 64),
    ]);
    // The picture gets the shape of the first one.
    assert.deepEqual(
      [await page.locator("#width").inputValue(), await page.locator("#height").inputValue()],
      [
        "",
        "",
      ],
    );
    for (const type of ["paste", "drop"] as const) {
      await page.evaluate(send, { type, files: [await sent(`${type}.png`)] });
    }
    assert.deepEqual(await names(), ["a.png", "b.png", "paste.png", "drop.png"]);
    await page.getByText("4 of 10").waitFor();

    await page.getByRole("button", { name: "Move drop.png earlier" }).press("Enter");
    await page.keyboard.press("Enter");
    assert.deepEqual(await names(), ["a.png", "drop.png", "b.png", "paste.png"]);
    await page.getByRole("button", { name: "Remove b.png" }).click();
    await page.getByRole("button", { name: "Remove drop.png" }).click();
    assert.deepEqual(await names(), ["a.png", "paste.png"]);

    const files = await Promise.all(Array.from({ length: 9 }, (_, i) => sent(`${i}.png`)));
    await page.evaluate(send, { type: "drop", files });
    await page.getByText("10 of 10. One was left out: the model looks at 10").waitFor();
    assert.equal(await page.getByText("More images").isVisible(), false);
    for (let i = 0; i < 8; i++) await page.getByRole("button", { name: `Remove ${i}.png` }).click();

    // They outlive the page.
    await page.reload();
    await page.getByText("2 of 10").waitFor();
    assert.deepEqual(await names(), ["a.png", "paste.png"]);
    await draw(page, { prompt: "both together", steps: 2 });
    const receipt = await page.locator(".receipt").innerText();
    assert.match(receipt, /Looked at\s+a\.png, paste\.png/);
    assert.match(receipt, /Size\s+96 × 64/);
    await page.getByRole("button", { name: "Copy as curl" }).click();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(command, /image\[\]=@"a\.png".*image\[\]=@"paste\.png"/s);
    assert.deepEqual(browser.complaints, []);
  });

  it("sends a result back as what the next model takes", async () => {
    await using browser = await open("models/emoji");
    const { page } = browser;
    await draw(page, { prompt: "red heart", steps: 8 });
    await page.getByRole("button", { name: "Start from it" }).click();
    assert.match(await page.locator("#image-field .image-name").innerText(), /^red-heart-42-/);
    await page.getByRole("button", { name: "Remove the image" }).click();

    await page.getByLabel("Model", { exact: true }).selectOption(LOOKS);
    assert.equal(await page.getByRole("button", { name: "Start from it" }).count(), 0);
    await page.getByRole("button", { name: "Add as reference" }).click();
    assert.match(await page.locator(".reference-name").innerText(), /^red-heart-42-/);
    await draw(page, { prompt: "the same in blue", steps: 2 });
    assert.match(await page.locator(".receipt").innerText(), /Looked at\s+red-heart-42-/);
    // The only image that it looked at lies over the picture up to the slider.
    await page.getByLabel("Before", { exact: true }).fill("100");
    await page.getByRole("img", { name: "The image before" }).waitFor();

    await page.getByLabel("Model", { exact: true }).selectOption(FRAMES);
    await page.getByRole("button", { name: "Use as first frame" }).click();
    assert.match(await page.locator("#image-field .image-name").innerText(), /^the-same-in-blue-42-/);
    assert.deepEqual(browser.complaints, []);
  });

  it("takes a video's last frame, and says so where the first one is missing", async () => {
    await using browser = await open(FRAMES);
    const { page } = browser;
    await page.getByText("Choose the last frame").waitFor();
    await page.getByText("a prompt and a first frame, and a last one").waitFor();
    // What is dropped on the field is the last frame, and not the first.
    const field = "#last-frame-field";
    await page.evaluate(send, { type: "drop", files: [await sent("end.png")], selector: field });
    assert.equal(await page.locator(`${field} .image-name`).innerText(), "end.png");
    assert.equal(await page.locator("#image-field .thumbnail").isVisible(), false);
    await page.locator("#num_frames").fill("5");
    await page.locator("#width").fill("32");
    await page.locator("#height").fill("32");
    await page.locator("#steps").fill("2");
    await page.getByLabel("Prompt", { exact: true }).fill("a red heart");
    await page.getByRole("button", { name: "Generate" }).click();
    await page.locator(".field-error", { hasText: "last_frame" }).waitFor();
    await page.locator("#image").setInputFiles(await file("begin.png", 48, 48));
    await page.getByRole("button", { name: "Generate" }).click();
    await page.locator('.run[data-state="finished"]').waitFor();
    const receipt = await page.locator(".receipt").innerText();
    assert.match(receipt, /First frame\s+begin\.png/);
    assert.match(receipt, /Last frame\s+end\.png/);
    assert.deepEqual(browser.complaints.filter((text) => !text.includes("400")), []);
  });

  it("says which lengths a model makes, at their field", async () => {
    await using browser = await open(HELD);
    const { page } = browser;
    const frames = page.getByLabel("Frames", { exact: true });
    const limits = (input: SVGElement | HTMLElement) =>
      input instanceof HTMLInputElement ? [input.min, input.step] : [];
    assert.deepEqual(await frames.evaluate(limits), ["5", "4"]);
    await frames.fill("2");
    await frames.press("ArrowUp");
    assert.equal(await frames.inputValue(), "5");
    await page.getByLabel("Model", { exact: true }).selectOption(FRAMES);
    assert.deepEqual(await frames.evaluate(limits), ["1", "4"]);
  });

  for (const colorScheme of ["light", "dark"] as const) {
    it(`passes axe's rules with images, wide and narrow, ${colorScheme}`, async () => {
      for (const width of [1366, 390]) {
        await using browser = await open(LOOKS, { width, colorScheme });
        const { page } = browser;
        const files = ["meadow with a very long name indeed.png", "sky.png", "c.png", "d.png", "e.png"];
        await page.locator("#references").setInputFiles(
          await Promise.all(files.map((name, i) => file(name, 64 + 32 * i, 96))),
        );
        await page.getByText("5 of 10").waitFor();
        assert.deepEqual(await violations(page), []);
        await look(page, `references-${width}-${colorScheme}`);
        await draw(page, { prompt: "all of them", steps: 2 });
        assert.deepEqual(await violations(page), []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
        await look(page, `references-drawn-${width}-${colorScheme}`);

        await page.getByLabel("Model", { exact: true }).selectOption(FRAMES);
        await page.locator("#image").setInputFiles(await file("begin.png", 48, 48));
        await page.locator("#last_frame").setInputFiles(await file("end.png", 48, 48));
        assert.deepEqual(await violations(page), []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
        await look(page, `frames-${width}-${colorScheme}`);
      }
    });
  }
});

async function draw(page: Page, { prompt, steps }: { prompt: string; steps: number }): Promise<void> {
  await page.locator("#steps").fill(String(steps));
  await page.getByLabel("Prompt", { exact: true }).fill(prompt);
  await page.getByRole("button", { name: "Generate" }).click();
  // A run of before may still be there.
  await page.locator('.run[data-state="finished"] .caption', { hasText: prompt }).waitFor();
}

/** A picture for a file picker. */
async function file(name: string, width: number, height: number) {
  const data = Float32Array.from({ length: 3 * width * height }, (_, i) => Math.sin(i / 50 + name.length));
  return { name, mimeType: "image/png", buffer: Buffer.from(await encodeImage({ width, height, data })) };
}

/** A picture to paste or drop. */
async function sent(name: string) {
  const { buffer } = await file(name, 80, 64);
  return { name, bytes: [...buffer] };
}

/** Sends the browser's events for files that somebody pastes or drops, by default beside all fields. */
function send({ type, files, selector }: SentFiles): void {
  const data = new DataTransfer();
  for (const { name, bytes } of files) {
    data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  }
  const options = { bubbles: true, cancelable: true };
  const event = type === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: data })
    : new DragEvent("drop", { ...options, dataTransfer: data });
  (selector === undefined ? document.body : document.querySelector(selector)!).dispatchEvent(event);
}

interface SentFiles {
  type: string;
  files: { name: string; bytes: number[] }[];
  selector?: string;
}
