// The page in a real Chromium, before the real service with the embedded checkpoint. Past 400 lines, as all
// cases share one service and one browser, whose start takes longer than most of them.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Browser, Page } from "playwright-core";
import { encodeImage } from "../../gpu-worker/media/encode_image.ts";
import { randomLora } from "./lora.ts";
import { findChromium, launchChromium, openPage, type OpenPageOptions } from "./chromium.ts";
import { violations } from "./look.ts";
import { type Service, startService } from "./service.ts";
import { skipWithout } from "../installed.ts";

const executablePath = findChromium();
const skip = skipWithout("chromium", { found: executablePath, hint: "CHROMIUM may name one" });

describe("the page in Chromium", { skip }, () => {
  let service: Service;
  let chromium: Browser;
  let folder: string;
  before(async () => {
    folder = await Deno.makeTempDir();
    await Deno.writeFile(`${folder}/style.safetensors`, randomLora());
    const models = `models/emoji,models/emoji+${folder}/style.safetensors:0.5`;
    service = await startService("start", { args: ["--port", "0", "--models", models] });
    chromium = await launchChromium(executablePath!);
  });
  after(async () => {
    await chromium.close();
    await service[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  });

  const open = (options: Partial<OpenPageOptions> = {}) =>
    openPage(chromium, { url: service.url, ...options });

  it("the page draws a picture and shows each step", async () => {
    await using browser = await open();
    const { page } = browser;
    await page.getByLabel("Prompt", { exact: true }).fill("red heart");
    // At first the plan, all of it still to come; the checkpoint's own, once the page has heard of it.
    await page.waitForFunction(() => document.querySelectorAll('.step[data-kind="full"]').length === 7);
    assert.equal(await page.locator('.step[data-state="done"]').count(), 0);
    await page.keyboard.press("Enter");
    await page.locator('.step[data-state="done"]').nth(5).waitFor();
    await finished(page);

    const full = page.locator('.step[data-state="done"][data-kind="full"]');
    const forecast = page.locator('.step[data-state="done"][data-kind="forecast"]');
    assert.deepEqual([await full.count(), await forecast.count()], [7, 43]);
    const [tall, short] = await Promise.all([bar(page, "full"), bar(page, "forecast")]);
    assert.ok(tall.height > 2 * short.height, "full passes and forecasts differ in height");
    assert.notEqual(tall.pattern, short.pattern);
    assert.ok(await page.locator(".step.has-error").count() > 5, "measured errors are drawn");
    assert.equal(await page.getByRole("progressbar").getAttribute("aria-valuenow"), "50");

    const picture = page.getByRole("img", { name: "red heart", exact: true });
    assert.equal(await picture.evaluate((image: HTMLImageElement) => image.naturalWidth), 64);
    assert.equal(await page.locator(".previews li").count(), 3);
    const receipt = await page.locator(".receipt").innerText();
    const { data: models } = await (await fetch(new URL("/v1/models", service.url))).json();
    const plan: number[] = models[0].calibration.full_steps["50"]["7"];
    for (const text of ["7 of 50", "7.14×", "models/emoji", plan.join(" "), "miss"]) {
      assert.ok(receipt.includes(text), `the receipt says ${text}`);
    }
    assert.deepEqual(browser.complaints, []);
  });

  it("the page says where a repeated picture comes from, and hands it out as file and curl", async () => {
    await using browser = await open();
    const { page } = browser;
    for (let time = 0; time < 2; time++) {
      await page.getByLabel("Prompt", { exact: true }).fill("it's a star");
      await page.getByRole("button", { name: "Generate" }).click();
      await finished(page);
    }
    assert.match(await page.locator(".run-status").innerText(), /cache/);

    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Download" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "it-s-a-star-42-calibrated.png");
    const bytes = await Deno.readFile(await download.path());
    assert.deepEqual([...bytes.slice(1, 4)], [..."PNG"].map((letter) => letter.charCodeAt(0)));

    await page.getByRole("button", { name: "Copy as curl" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(command.startsWith(`curl -sS ${new URL(service.url).origin}/v1/images/generations`), command);
    assert.deepEqual(browser.complaints, []);
  });

  it("the page compares two methods on one seed", async () => {
    await using browser = await open();
    const { page } = browser;
    await page.getByLabel("Prompt", { exact: true }).fill("crab");
    await page.getByLabel("Compare with a second method").check({ force: true });
    await page.getByRole("button", { name: "Generate" }).click();
    const comparison = page.getByRole("region", { name: "Comparison" });
    await comparison.waitFor();

    assert.deepEqual(await page.locator(".run h2").allInnerTexts(), ["Calibrated", "None"]);
    const [first, second] = await page.locator(".receipt").allInnerTexts();
    assert.ok(first?.includes("7 of 50") && second?.includes("50 of 50"));
    const decibels = Number(/PSNR\s+([\d.]+) dB/.exec(await comparison.innerText())?.[1]);
    // The pictures are alike, and not the same.
    assert.ok(decibels > 20 && decibels < 80, `PSNR is ${decibels} dB`);

    const brightness = async () => await comparison.locator("canvas").evaluate(sumOfColours);
    const slider = comparison.getByRole("slider");
    await slider.fill("0");
    const plain = await brightness();
    await slider.fill("4");
    const amplified = await brightness();
    assert.ok(plain > 0 && amplified > 8 * plain, `${plain}, amplified ${amplified}`);
    await comparison.getByRole("radio", { name: "None" }).check({ force: true });
    assert.ok(await brightness() > amplified);
    assert.equal(await slider.isVisible(), false);
    assert.deepEqual(browser.complaints, []);
  });

  it("the page remembers pictures, opens them, deletes one and clears all", async () => {
    await using browser = await open();
    const { page } = browser;
    for (const prompt of ["owl", "fox"]) {
      await page.getByLabel("Prompt", { exact: true }).fill(prompt);
      await page.getByRole("spinbutton", { name: "Seed" }).fill("5");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: `Open ${prompt}` }).waitFor();
    }
    await page.reload();
    await page.getByRole("button", { name: "Open owl, Calibrated, 7 of 50 full passes, seed 5" }).click();
    assert.equal(await page.getByLabel("Prompt", { exact: true }).inputValue(), "owl");
    assert.equal(await page.getByRole("spinbutton", { name: "Seed" }).inputValue(), "5");
    await page.getByRole("img", { name: "owl", exact: true }).waitFor();

    await page.getByRole("button", { name: "Delete owl" }).click({ force: true });
    await page.getByText("1 picture,").waitFor();
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByRole("button", { name: "Delete all, really?" }).click();
    await page.locator("#history").waitFor({ state: "hidden" });
    await page.reload();
    assert.equal(await page.locator("#history").isHidden(), true);
    assert.deepEqual(browser.complaints, []);
  });

  it("the page starts from an image that is chosen, pasted or dropped", async () => {
    await using browser = await open();
    const { page } = browser;
    const mimeType = "image/png";
    const red = Buffer.from(await encodeImage(plain([1, -1, -1])));
    await page.getByLabel("Start from an image").setInputFiles({ name: "red.png", mimeType, buffer: red });
    await page.getByText("0.60, 30 of 50 steps").waitFor();
    // The plan is that of the steps that are left.
    assert.equal(await page.locator(".step").count(), 30);
    await page.getByLabel("Drawn anew").fill("0.2");
    assert.equal(await page.locator(".step").count(), 10);
    await page.getByLabel("Prompt", { exact: true }).fill("red heart");
    await page.keyboard.press("Enter");
    await finished(page);
    const colour = await page.getByRole("img", { name: "red heart", exact: true }).evaluate(middlePixel);
    assert.ok(colour[0]! > 180 && colour[1]! < 90 && colour[2]! < 90, `${colour}`);
    assert.equal(await page.locator(".step").count(), 10);
    const receipt = await page.locator(".receipt").innerText();
    assert.ok(
      receipt.includes("of 10") && receipt.includes("red.png, strength 0.2: 10 of 50 steps"),
      receipt,
    );
    await page.getByRole("button", { name: "Copy as curl" }).click();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(command, /\/v1\/images\/edits.*image=@"red\.png"/s);

    await page.getByRole("button", { name: "Remove the image" }).click();
    assert.equal(await page.locator("#image-field .thumbnail").isVisible(), false);
    for (const type of ["paste", "drop"]) {
      await page.evaluate(sendFile, { type, name: `${type}.png`, bytes: [...red] });
      await page.getByText(`${type}.png`).waitFor();
      assert.equal(await page.locator("#image-field .thumbnail").isVisible(), true);
    }
    // A picture of the history comes back with what it was begun from.
    await page.getByRole("button", { name: "Open red heart" }).click();
    await page.getByText("red.png", { exact: true }).waitFor();
    await page.getByText("0.20, 10 of 50 steps").waitFor();

    await page.getByLabel("Another image").setInputFiles({
      name: "bad.png",
      mimeType,
      buffer: Buffer.from("x"),
    });
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Generate" }).click();
    await page.locator(".image-field .field-error", { hasText: "no image" }).waitFor();
    assert.deepEqual(browser.complaints.filter((text) => !text.includes("400")), []);
  });

  it("the page offers the LoRAs that a checkpoint is served with", async () => {
    await using browser = await open();
    const { page } = browser;
    const lora = page.getByLabel("LoRA");
    await lora.waitFor();
    assert.deepEqual(await lora.locator("option").allInnerTexts(), ["None", "style 0.5"]);
    assert.equal(await page.getByLabel("Model", { exact: true }).isVisible(), false);
    await page.getByLabel("Prompt", { exact: true }).fill("fox");
    const pictures: string[] = [];
    for (const label of ["None", "style 0.5"]) {
      await lora.selectOption({ label });
      await page.locator("#steps").fill("8");
      await page.getByRole("button", { name: "Generate" }).click();
      await finished(page);
      pictures.push(await page.getByRole("img", { name: "fox", exact: true }).evaluate(sumOfPixels));
    }
    assert.notEqual(pictures[0], pictures[1]);
    assert.ok((await page.locator(".receipt").innerText()).includes("style.safetensors:0.5"));
    await page.getByRole("button", { name: "Open fox" }).last().click();
    assert.equal(
      await lora.evaluate((select: HTMLSelectElement) => select.selectedOptions[0]?.label),
      "None",
    );
    assert.deepEqual(browser.complaints, []);
  });

  it("the page cancels a run on Escape", async () => {
    await using browser = await open();
    const { page } = browser;
    await page.locator("#steps").fill("1000");
    await page.locator("label", { hasText: "None" }).first().click();
    await page.getByLabel("Prompt", { exact: true }).fill("whale");
    await page.keyboard.press("Enter");
    await page.locator('.step[data-state="done"]').first().waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("Cancelled").first().waitFor();
    assert.equal(await page.getByRole("button", { name: "Cancel" }).isVisible(), false);
    assert.deepEqual(browser.complaints, []);
  });

  it("the page shows an error at the field that it is about", async () => {
    await using browser = await open();
    const { page } = browser;
    await page.getByLabel("Prompt", { exact: true }).fill("owl");
    await page.getByLabel("Width").fill("63");
    await page.keyboard.press("Enter");
    await page.locator(".field-error").waitFor();
    const width = page.getByLabel("Width");
    assert.equal(await width.getAttribute("aria-invalid"), "true");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "width");
    const note = await page.locator(`#${await width.getAttribute("aria-describedby")}`).innerText();
    assert.match(note, /63/);

    await width.fill("64");
    await page.getByRole("radio", { name: "Spectrum" }).first().check({ force: true });
    await page.locator("summary", { hasText: "Options" }).first().click();
    await page.getByLabel("Blend, w").first().fill("3");
    await page.keyboard.press("Enter");
    await page.locator('[name="w"][aria-invalid]').waitFor();
    assert.equal(await width.getAttribute("aria-invalid"), null);
  });

  it("the page can be used by keyboard alone, with the focus in sight", async () => {
    await using browser = await open({ reducedMotion: "reduce" });
    const { page } = browser;
    const visited: string[] = [];
    // From the top of the page to the button that generates; typing on the way.
    for (let presses = 0; presses < 40 && visited.at(-1) !== "generate"; presses++) {
      await page.keyboard.press("Tab");
      const focused = await page.evaluate(describeFocus);
      assert.ok(focused.outline, `the focus shows at ${focused.id}`);
      visited.push(focused.id);
      if (focused.id === "prompt") await page.keyboard.type("rocket");
      if (focused.id === "method-a") await page.keyboard.press("ArrowRight");
    }
    assert.equal(visited.at(-1), "generate");
    await page.keyboard.press("Space");
    await finished(page);
    assert.equal(await page.locator(".run h2").innerText(), "Spectrum");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "generate");
    assert.match(await page.getByRole("status").innerText(), /Done in .*: rocket/);
    assert.deepEqual(browser.complaints, []);
  });

  for (const colorScheme of ["light", "dark"] as const) {
    it(`the page passes axe's rules, ${colorScheme}`, async () => {
      await using browser = await open({ colorScheme });
      const { page } = browser;
      await page.getByRole("button", { name: "others" }).waitFor();
      await page.locator("summary", { hasText: "Guidance" }).click();
      const buffer = Buffer.from(await encodeImage(plain([0, 0, 1])));
      await page.locator("#image").setInputFiles({ name: "blue.png", mimeType: "image/png", buffer });
      await page.locator("#image-field .thumbnail").waitFor();
      assert.deepEqual(await violations(page), [], "at first");
      await page.getByLabel("Compare with a second method").check({ force: true });
      await page.locator("#steps").fill("12");
      await page.getByLabel("Prompt", { exact: true }).fill("panda");
      await page.keyboard.press("Enter");
      await page.getByRole("region", { name: "Comparison" }).waitFor();
      await page.getByRole("button", { name: "Open panda" }).first().waitFor();
      assert.deepEqual(await violations(page), [], "with a comparison");
    });
  }

  it("the page fits a width of 360 pixels", async () => {
    await using browser = await open({ width: 360 });
    const { page } = browser;
    await page.getByLabel("Compare with a second method").check({ force: true });
    await page.locator("#steps").fill("12");
    await page.getByLabel("Prompt", { exact: true }).fill("a very long prompt ".repeat(20) + "x".repeat(200));
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "Comparison" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  });

  it("the page asks for a key where the service does", async () => {
    await using locked = await startService("edge", {
      env: { PORT: "0", SPECTRUM_API_KEYS: "se_test_key", SPECTRUM_WORKERS: service.workerUrl! },
    });
    await using browser = await open({ url: locked.url });
    const { page } = browser;
    const dialog = page.getByRole("dialog");
    for (const key of ["wrong", "se_test_key"]) {
      await dialog.getByLabel("API key").fill(key);
      await page.keyboard.press("Enter");
      if (key === "wrong") await dialog.getByText("not valid").waitFor();
    }
    await dialog.waitFor({ state: "hidden" });
    await page.getByLabel("Prompt", { exact: true }).fill("key");
    await page.keyboard.press("Enter");
    await finished(page);
    assert.equal(await page.evaluate(() => sessionStorage.getItem("api-key")), "se_test_key");
  });

  it("the page takes the key that its address brings, and keeps the address clean", async () => {
    await using locked = await startService("edge", {
      env: { PORT: "0", SPECTRUM_API_KEYS: "sk-brought", SPECTRUM_WORKERS: service.workerUrl! },
    });
    await using browser = await open({ url: `${locked.url}/#key=sk-brought` });
    const { page } = browser;
    assert.equal(new URL(page.url()).hash, "");
    await page.getByLabel("Prompt", { exact: true }).fill("brought");
    await page.keyboard.press("Enter");
    await finished(page);
  });
});

async function finished(page: Page): Promise<void> {
  await page.locator('.run:is([data-state="finished"], [data-state="stopped"])').first().waitFor();
  const [status, error] = [page.locator(".run-status").first(), page.locator("#form-error")];
  const state = await page.locator(".run").first().getAttribute("data-state");
  assert.equal(state, "finished", `${await status.innerText()}: ${await error.innerText()}`);
}

/** How the bar of a done step is drawn. */
async function bar(page: Page, kind: string): Promise<{ height: number; pattern: string }> {
  return await page.locator(`.step[data-state="done"][data-kind="${kind}"]`).first().evaluate((step) => {
    const { height, backgroundImage } = getComputedStyle(step, "::before");
    return { height: parseFloat(height), pattern: backgroundImage };
  });
}

/** Returns the sum of a canvas's colours, without alpha. */
function sumOfColours(canvas: SVGElement | HTMLElement): number {
  if (!(canvas instanceof HTMLCanvasElement)) return NaN;
  const { width, height } = canvas;
  // Read from a copy: reading makes Chromium advise against the canvas that it reads.
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy?.drawImage(canvas, 0, 0);
  const data = copy?.getImageData(0, 0, width, height).data ?? [];
  return [...data].reduce((sum, value, index) => index % 4 === 3 ? sum : sum + value, 0);
}

/**
 * The focused element by id or the name of its group, and whether it or what stands for it has an outline.
 */
function describeFocus(): { id: string; outline: boolean } {
  const element = document.activeElement ?? document.body;
  const hidden = element.matches("input[type=radio], input[type=checkbox], input[type=file]");
  const shown = (hidden ? element.nextElementSibling : element) ?? element;
  const id = element.id || element.getAttribute("name") || element.textContent || "";
  return { id, outline: getComputedStyle(shown).outlineStyle !== "none" };
}

/** A picture of one colour, -1..1 a channel. */
function plain(colour: readonly number[]) {
  const [width, height] = [80, 48];
  const data = Float32Array.from(
    { length: 3 * width * height },
    (_, i) => colour[Math.floor(i / width / height)]!,
  );
  return { width, height, data };
}

/** Red, green and blue, 0..255. */
function middlePixel(image: SVGElement | HTMLElement): number[] {
  if (!(image instanceof HTMLImageElement)) return [];
  const { naturalWidth: width, naturalHeight: height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context?.drawImage(image, 0, 0);
  return [...context?.getImageData(width >> 1, height >> 1, 1, 1).data ?? []].slice(0, 3);
}

/** Tells pictures apart. */
function sumOfPixels(image: SVGElement | HTMLElement): string {
  if (!(image instanceof HTMLImageElement)) return "";
  const { naturalWidth: width, naturalHeight: height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context?.drawImage(image, 0, 0);
  const data = context?.getImageData(0, 0, width, height).data ?? [];
  return String([...data].reduce((sum, value, index) => (sum * 31 + value * (index + 1)) % 1e9, 0));
}

/** Sends the browser's events for a file that somebody pastes or drops. */
function sendFile({ type, name, bytes }: { type: string; name: string; bytes: number[] }): void {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const init = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(
    type === "paste"
      ? new ClipboardEvent(type, { ...init, clipboardData: files })
      : new DragEvent(type, { ...init, dataTransfer: files }),
  );
}
