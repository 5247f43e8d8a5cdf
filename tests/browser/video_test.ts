// Videos on the page, in a real Chromium before the real service with both embedded checkpoints.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { findChromium, launchChromium, openPage } from "./chromium.ts";
import { goldenPath } from "../goldens/golden.ts";
import { type Service, startService } from "./service.ts";
import { skipWithout } from "../installed.ts";

/** A model that takes a first frame. */
const FRAMES = goldenPath("wan/tiny-ti2v");
const executablePath = findChromium();
const skip = skipWithout("chromium", { found: executablePath, hint: "CHROMIUM may name one" });

describe("videos in Chromium", { skip }, () => {
  let service: Service;
  let chromium: Browser;
  before(async () => {
    service = await startService("start", {
      args: ["--port", "0", "--models", `models/emoji,models/shapes,${FRAMES}`],
    });
    chromium = await launchChromium(executablePath!);
  });
  after(async () => {
    await chromium.close();
    await service[Symbol.asyncDispose]();
  });

  const open = async () => {
    const browser = await openPage(chromium, { url: service.url });
    await browser.page.getByLabel("Model").selectOption("models/shapes");
    return browser;
  };

  it("choosing a model that makes videos shows their length, and the page plays what it makes", async () => {
    await using browser = await open();
    const { page } = browser;
    await page.getByLabel("Frames").fill("17");
    await page.getByLabel("FPS").fill("8");
    assert.equal(await page.getByLabel("Length").innerText(), "2.1 s");
    await page.getByLabel("Prompt", { exact: true }).fill("a red ball moves right");
    await page.keyboard.press("Enter");
    await page.locator(".previews li").first().waitFor();
    await finished(page);

    const video = page.locator("video.picture-image");
    assert.equal(await video.getAttribute("aria-label"), "a red ball moves right");
    const { width, duration } = await video.evaluate((video: HTMLVideoElement) => ({
      width: video.videoWidth,
      duration: video.duration,
    }));
    assert.equal(width, 48);
    assert.ok(Math.abs(duration - 17 / 8) < 0.1, `${duration} s`);
    await page.waitForFunction(() => {
      const video = document.querySelector("video.picture-image") as HTMLVideoElement;
      return !video.paused && video.currentTime > 0.2;
    });
    assert.match(await page.locator(".receipt").innerText(), /17 frames, 8 a second/);
    assert.equal(await page.locator(".history video").count(), 1);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Download" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "a-red-ball-moves-right-42-calibrated.mp4");
    assert.deepEqual(browser.complaints, []);
  });

  it("offers a first frame to a model that takes one, and sends it with the request", async () => {
    await using browser = await open();
    const { page } = browser;
    const choose = page.locator("#image-field");
    assert.equal(await choose.isVisible(), false);
    await page.getByLabel("Model").selectOption(FRAMES);
    assert.match(await choose.innerText(), /Choose the first frame \(optional\)/);
    await page.locator("#image").setInputFiles(goldenPath("frames/first.png"));
    assert.equal(await page.getByText("Draw only a part anew").isVisible(), false);
    assert.equal(await page.locator("#strength").isVisible(), false);
    for (
      const [label, value] of [["Width", "32"], ["Height", "32"], ["Frames", "5"], ["Steps", "3"]] as const
    ) {
      await page.getByRole("spinbutton", { name: label, exact: true }).fill(value);
    }
    await page.getByLabel("Prompt", { exact: true }).fill("a red heart");
    const [sent] = await Promise.all([
      page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/v1/videos")),
      page.keyboard.press("Enter"),
    ]);
    assert.match(sent.headers()["content-type"]!, /^multipart\/form-data/);
    await finished(page);
    assert.match(await page.locator(".receipt").innerText(), /5 frames/);
    assert.deepEqual(browser.complaints, []);
  });

  it("compares two methods by their middle frames", async () => {
    await using browser = await open();
    const { page } = browser;
    await page.getByLabel("Prompt", { exact: true }).fill("a blue square moves up");
    await page.getByText("Compare with a second method").click();
    await page.getByRole("button", { name: "Generate" }).click();
    await page.locator(".comparison").waitFor();
    assert.match(await page.locator(".comparison").innerText(), /the middle frame/);
    assert.deepEqual(browser.complaints, []);
  });

  it("says why two videos cannot be compared", async () => {
    await using browser = await open();
    const { page } = browser;
    await page.evaluate(() => {
      Object.defineProperty(HTMLMediaElement.prototype, "duration", { get: () => NaN });
    });
    await page.getByLabel("Prompt", { exact: true }).fill("a blue square moves up");
    await page.getByText("Compare with a second method").click();
    await page.getByRole("button", { name: "Generate" }).click();
    const comparison = page.locator(".comparison");
    await comparison.waitFor();
    assert.match(await comparison.getByRole("alert").innerText(), /^The two cannot be compared: ./);
    assert.deepEqual(browser.complaints, []);
  });
});

async function finished(page: Page): Promise<void> {
  await page.locator('.run[data-state="finished"]').waitFor();
}
