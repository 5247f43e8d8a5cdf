// Inpainting on the page in a real Chromium: a mask is painted on an image, and the pixels
// outside it stay as they are.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { encodeImage } from "../../gpu-worker/media/encode_image.ts";
import { findChromium, launchChromium, openPage, type OpenPageOptions } from "./chromium.ts";
import { look, violations } from "./look.ts";
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

  const open = async (options: Partial<OpenPageOptions> = {}) => {
    const browser = await openPage(chromium, { url: service.url, ...options });
    await browser.page.getByLabel("Prompt", { exact: true }).fill("blue heart");
    return browser;
  };

  it("is painted with the mouse, and the picture keeps the pixels outside it", async () => {
    await using browser = await open();
    const { page } = browser;
    const image = await waves(SIDE, SIDE);
    await choose(page, image);
    await paintLeft(page);
    await generate(page);
    const columnsChanged = await changedColumns(image, await download(page), SIDE);
    assert.ok(columnsChanged.length > 2, "the painted place is drawn anew");
    assert.ok(Math.max(...columnsChanged) < SIDE / 2, `columns ${columnsChanged} have changed`);

    // The image before lies over the picture up to the slider.
    await page.getByLabel("Before", { exact: true }).fill("100");
    await page.getByRole("img", { name: "The image before" }).waitFor();

    await page.getByRole("button", { name: "Start from it" }).click();
    assert.equal(await page.getByLabel("Draw only a part anew").isChecked(), false);
    assert.deepEqual(browser.complaints, []);
  });

  for (const [width, colorScheme] of [[1366, "light"], [390, "dark"]] as const) {
    it(`can have its part drawn alone, at ${width} pixels, ${colorScheme}`, async () => {
      await using browser = await open({ width, colorScheme });
      const { page } = browser;
      // Larger than the model's pictures: a part of it is drawn in 64x64, and put back.
      const image = await waves(200, 160);
      await choose(page, image);
      await paintLeft(page);
      await page.getByLabel("Draw the painted part alone, in full size").check({ force: true });
      await page.getByLabel("Pixels around it").fill("9999");
      await page.getByRole("button", { name: "Generate" }).click();
      await page.locator(".field-error", { hasText: "padding_mask_crop" }).waitFor();
      await page.getByLabel("Pixels around it").fill("8");
      assert.deepEqual(await violations(page), []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      await page.locator(".mask-editor").scrollIntoViewIfNeeded();
      await look(page, `crop-${width}-${colorScheme}`);
      await generate(page);
      assert.match(
        await page.locator(".receipt").innerText(),
        /Size\s+200 × 160, a part of it drawn in 64 × 64/,
      );
      const columnsChanged = await changedColumns(image, await download(page), 200);
      assert.ok(columnsChanged.length > 2, "the painted place is drawn anew");
      assert.ok(Math.max(...columnsChanged) < 100, `columns ${columnsChanged} have changed`);
      assert.deepEqual(await violations(page), []);
      await look(page, `crop-drawn-${width}-${colorScheme}`);
      await page.getByRole("button", { name: "Copy as curl" }).click();
      assert.match(await page.evaluate(() => navigator.clipboard.readText()), /padding_mask_crop=8/);
      assert.deepEqual(browser.complaints.filter((text) => !text.includes("400")), []);

      // A picture of the history fills the form as it was.
      await page.getByLabel("Draw the painted part alone, in full size").uncheck({ force: true });
      await page.getByRole("button", { name: "Open blue heart" }).first().click();
      assert.equal(await page.getByLabel("Pixels around it").inputValue(), "8");
    });
  }
});

/** A PNG file of a picture without plain places. */
async function waves(width: number, height: number): Promise<Uint8Array> {
  const data = Float32Array.from({ length: 3 * width * height }, (_, i) => Math.sin(i / 40));
  return await encodeImage({ width, height, data });
}

async function choose(page: Page, image: Uint8Array): Promise<void> {
  const file = { name: "start.png", mimeType: "image/png", buffer: Buffer.from(image) };
  await page.locator("#image").setInputFiles(file);
}

/** Switches the mask on, and paints along the left quarter of the image. */
async function paintLeft(page: Page): Promise<void> {
  await page.getByLabel("Draw only a part anew").check({ force: true });
  const board = page.locator(".mask-board canvas");
  await board.scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await board.boundingBox())!;
  await page.mouse.move(x + width / 8, y + height * 0.3);
  await page.mouse.down();
  await page.mouse.move(x + width / 8, y + height * 0.7, { steps: 8 });
  await page.mouse.up();
}

async function generate(page: Page): Promise<void> {
  await Promise.all([
    page.waitForRequest("**/v1/images/edits"),
    page.getByRole("button", { name: "Generate" }).click(),
  ]);
  await page.locator('.run[data-state="finished"]').waitFor();
}

async function download(page: Page): Promise<Uint8Array> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Download" }).click(),
  ]);
  return await Deno.readFile(await download.path());
}

/** Returns the columns in which two pictures of the same size differ. */
async function changedColumns(before: Uint8Array, after: Uint8Array, width: number): Promise<number[]> {
  const pixels = async (file: Uint8Array) => await sharp(file).removeAlpha().raw().toBuffer();
  const [own, drawn] = [await pixels(before), await pixels(after)];
  assert.equal(drawn.length, own.length);
  const columns = new Set<number>();
  for (let i = 0; i < own.length; i++) {
    if (own[i] !== drawn[i]) columns.add(Math.floor(i / 3) % width);
  }
  return [...columns];
}
