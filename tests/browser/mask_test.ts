// Inpainting on the page in a real Chromium: a mask is painted on an image, and the pixels
// outside it stay as they are.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Browser } from "playwright-core";
import sharp from "sharp";
import { encodeImage } from "../../gpu-worker/media/encode_image.ts";
import { findChromium, launchChromium, openPage } from "./chromium.ts";
import { type Service, startService } from "./service.ts";
import { skipWithout } from "../installed.ts";

const executablePath = findChromium();
const skip = skipWithout("chromium", { found: executablePath, hint: "CHROMIUM may name one" });
const SIDE = 64;

describe("a mask on the page", { skip }, () => {
  let service: Service;
  let chromium: Browser;
  before(async () => {
    service = await startService("start", { args: ["--port", "0"] });
    chromium = await launchChromium(executablePath!);
  });
  after(async () => {
    await chromium.close();
    await service[Symbol.asyncDispose]();
  });

  it("is painted with the mouse, and the picture keeps the pixels outside it", async () => {
    await using browser = await openPage(chromium, { url: service.url });
    const { page } = browser;
    const data = Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => Math.sin(i / 40));
    const image = await encodeImage({ width: SIDE, height: SIDE, data });
    await page.getByLabel("Prompt", { exact: true }).fill("blue heart");
    await page.locator("#image").setInputFiles({
      name: "start.png",
      mimeType: "image/png",
      buffer: Buffer.from(image),
    });
    await page.getByLabel("Draw only a part anew").check({ force: true });
    const board = page.locator(".mask-board canvas");
    await board.scrollIntoViewIfNeeded();
    const { x, y, width, height } = (await board.boundingBox())!;
    // Along the left quarter.
    await page.mouse.move(x + width / 8, y + height * 0.3);
    await page.mouse.down();
    await page.mouse.move(x + width / 8, y + height * 0.7, { steps: 8 });
    await page.mouse.up();

    await Promise.all([
      page.waitForRequest("**/v1/images/edits"),
      page.getByRole("button", { name: "Generate" }).click(),
    ]);
    await page.locator('.run[data-state="finished"]').waitFor();

    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Download" }).click(),
    ]);
    const pixels = async (file: Uint8Array) => await sharp(file).removeAlpha().raw().toBuffer();
    const [own, drawn] = [await pixels(image), await pixels(await Deno.readFile(await download.path()))];
    const columnsChanged = new Set<number>();
    for (let i = 0; i < own.length; i++) {
      if (own[i] !== drawn[i]) columnsChanged.add(Math.floor(i / 3) % SIDE);
    }
    assert.ok(columnsChanged.size > 2, "the painted place is drawn anew");
    assert.ok(Math.max(...columnsChanged) < SIDE / 2, `columns ${[...columnsChanged]} have changed`);

    // The image before lies over the picture up to the slider.
    await page.getByLabel("Before", { exact: true }).fill("100");
    await page.getByRole("img", { name: "The image before" }).waitFor();

    await page.getByRole("button", { name: "Start from it" }).click();
    assert.equal(await page.getByLabel("Draw only a part anew").isChecked(), false);
    assert.deepEqual(browser.complaints, []);
  });
});
