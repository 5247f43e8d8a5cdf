// A control image on the page in a real Chromium, with a model that has a ControlNet.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Browser } from "playwright-core";
import { encodeImage } from "../../gpu-worker/media/encode_image.ts";
import { goldenPath, loadGoldens } from "../goldens/golden.ts";
import { skipWithout } from "../installed.ts";
import { findChromium, launchChromium, openPage } from "./chromium.ts";
import { look, violations } from "./look.ts";
import { type Service, startService } from "./service.ts";

const executablePath = findChromium();
const skip = skipWithout("chromium", { found: executablePath, hint: "CHROMIUM may name one" });

describe("a control image on the page", { skip }, () => {
  let service: Service;
  let chromium: Browser;
  before(async () => {
    const model = `${goldenPath("sdxl/tiny-sdxl")}+controlnet:${goldenPath("control/sdxl/canny")}`;
    service = await startService("start", {
      args: ["--port", "0", "--models", `models/emoji,tiny=${model}`, "--max-loaded", "2"],
    });
    chromium = await launchChromium(executablePath!);
  });
  after(async () => {
    await chromium.close();
    await service[Symbol.asyncDispose]();
  });

  it("is offered by a model with ControlNets alone, and steers the picture", async () => {
    await using browser = await openPage(chromium, { url: service.url });
    const { page } = browser;
    const label = page.getByText("Follow a control image");
    await page.getByLabel("Prompt", { exact: true }).fill("red heart");
    assert.equal(await label.isVisible(), false);
    await page.locator("#model").selectOption("tiny");
    await label.waitFor();
    await page.locator("#steps").fill("4");
    await page.locator("#width").fill("24");
    await page.locator("#height").fill("16");
    const data = loadGoldens("control").floats("input.control");
    const image = await encodeImage({ width: 24, height: 16, data });
    await page.locator("#control_image").setInputFiles({
      name: "edges.png",
      mimeType: "image/png",
      buffer: Buffer.from(image),
    });
    await page.getByText("edges.png").waitFor();
    await page.locator("#control_scale").fill("0.5");
    const [request] = await Promise.all([
      page.waitForRequest("**/v1/images/generations"),
      page.getByRole("button", { name: "Generate" }).click(),
    ]);
    const sent = request.postDataJSON();
    assert.deepEqual([sent.controlnet, sent.control_scale], ["canny", 0.5]);
    assert.match(sent.control_image, /^data:image\/png;base64,/);
    await page.locator('.run[data-state="finished"]').waitFor();

    // The picture can be what the next one follows.
    await page.getByRole("button", { name: "Use as control image" }).click();
    assert.match(await page.locator("#control-field .image-name").innerText(), /^red-heart-42-/);
    assert.equal(await page.locator("#image-field .thumbnail").isVisible(), false);
    assert.deepEqual(browser.complaints, []);
  });

  it("passes axe's rules, wide and narrow, with a picture that can be followed", async () => {
    for (const [width, colorScheme] of [[1366, "dark"], [390, "light"]] as const) {
      await using browser = await openPage(chromium, { url: service.url, width, colorScheme });
      const { page } = browser;
      await page.locator("#steps").fill("4");
      await page.getByLabel("Prompt", { exact: true }).fill("red heart");
      await page.getByRole("button", { name: "Generate" }).click();
      await page.locator('.run[data-state="finished"]').waitFor();
      const use = page.getByRole("button", { name: "Use as control image" });
      assert.equal(await use.count(), 0);
      await page.locator("#model").selectOption("tiny");
      await use.click();
      assert.deepEqual(await violations(page), []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      await look(page, `control-${width}-${colorScheme}`);
    }
  });
});
