// Runs that outlive the page, and what a day's work needs beside them, in a real Chromium
// before the real service.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { cuttableProxy } from "./cuttable_proxy.ts";
import { findChromium, launchChromium, openPage } from "./chromium.ts";
import { violations } from "./look.ts";
import { randomLora } from "./lora.ts";
import { type Service, startService } from "./service.ts";
import { skipWithout } from "../installed.ts";

const executablePath = findChromium();
const skip = skipWithout("chromium", { found: executablePath, hint: "CHROMIUM may name one" });

describe("a day with the page", { skip }, () => {
  let service: Service;
  let chromium: Browser;
  let folder: string;
  before(async () => {
    folder = await Deno.makeTempDir();
    await Deno.writeFile(`${folder}/style.safetensors`, randomLora());
    const lora = `models/emoji+${folder}/style.safetensors`;
    service = await startService("start", {
      args: ["--port", "0", "--models", `models/emoji,${lora}:0.5,${lora}:1`],
    });
    chromium = await launchChromium(executablePath!);
  });
  after(async () => {
    await chromium.close();
    await service[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  });

  const open = (url = service.url) => openPage(chromium, { url });

  it("takes up a run after a reload, in another tab, and after a lost connection", async () => {
    using proxy = cuttableProxy(service.url);
    await using browser = await open(proxy.url);
    const { page } = browser;
    await draw(page, "whale", async () => {
      await page.locator("#steps").fill("1000");
      // So large that the run lasts longer than all that follows, on a fast machine too.
      await page.locator("#width").fill("128");
      await page.locator("#height").fill("128");
      await page.locator("label", { hasText: "None" }).first().click();
    });
    await done(page, 3).waitFor();
    assert.match(new URL(page.url()).hash, /^#run=/);
    assert.match(await page.title(), /left – Spectrum Edge/);

    await page.reload();
    await done(page, 5).waitFor();
    assert.equal(await prompt(page).inputValue(), "whale");
    assert.equal(await page.locator("#steps").inputValue(), "1000");
    assert.equal(await page.getByRole("radio", { name: "None" }).first().isChecked(), true);

    proxy.cut();
    await page.getByText("Connection lost").waitFor();
    proxy.restore();
    await page.getByText(/^Step \d+ of 1000/).waitFor();

    const other = await page.context().newPage();
    await other.goto(proxy.url);
    await other.getByRole("button", { name: "Follow the run under way" }).click();
    await done(other, 5).waitFor();
    await other.keyboard.press("Escape");
    await other.getByText("Cancelled").first().waitFor();
    assert.equal(new URL(other.url()).hash, "");
    // A run ends once nobody waits for it.
    await page.keyboard.press("Escape");
    await page.getByText("Cancelled").first().waitFor();
  });

  it("draws several pictures in a grid, each with its seed, to be enlarged and begun from", async () => {
    await using browser = await open();
    const { page } = browser;
    await draw(page, "לב אדום", async () => {
      await page.locator("#steps").fill("8");
      await page.getByLabel("Pictures").fill("3");
    });
    await page.locator('.run[data-state="finished"]').waitFor();
    assert.equal(await page.locator(".cell .picture-image").count(), 3);

    await page.getByRole("button", { name: "Enlarge picture 2" }).click();
    const zoom = page.getByRole("dialog");
    await zoom.getByText("Seed 43").waitFor();
    await page.keyboard.press("ArrowRight");
    await zoom.getByText("Seed 44").waitFor();
    assert.deepEqual(await violations(page), []);
    // Prompts are read from the side that their letters ask for.
    for (const text of [prompt(page), page.locator(".caption"), zoom.locator(".zoom-caption")]) {
      assert.equal(await text.evaluate((element) => getComputedStyle(element).direction), "rtl");
    }
    await page.keyboard.press("Escape");
    await zoom.waitFor({ state: "hidden" });
    assert.match(await page.locator(".receipt").innerText(), /Seed\s+44/);

    await page.getByRole("button", { name: "Start from it" }).click();
    await page.locator("#image-field .thumbnail").waitFor();
    assert.match(await page.locator("#image-field .image-name").innerText(), /^לב-אדום-44-/);
    // The file says how it was made.
    await prompt(page).fill("fox");
    await page.getByRole("button", { name: "Use its settings" }).click();
    assert.equal(await prompt(page).inputValue(), "לב אדום");
    assert.equal(await page.locator("#seed").inputValue(), "44");
    assert.equal(await page.locator("#image-field .thumbnail").isVisible(), false);
    assert.deepEqual(browser.complaints, []);
  });

  it("plans by quality or passes, as the service does", async () => {
    await using browser = await open();
    const { page } = browser;
    await page.waitForFunction(() => document.querySelectorAll('.step[data-kind="full"]').length === 7);
    assert.match(await page.locator(".facts").innerText(), /Calibrated by default/);
    await page.locator("label", { hasText: "Draft" }).first().click();
    await page.locator("summary", { hasText: "Options" }).first().click();
    assert.equal(await page.getByLabel("Warm-up steps").first().isVisible(), false);
    await page.getByRole("slider", { name: "Full passes" }).first().fill("9");
    const planned = await fullSteps(page);
    assert.equal(planned.length, 9);
    await draw(page, "fox");
    await page.locator('.run[data-state="finished"]').waitFor();
    assert.match(await page.locator(".receipt").innerText(), /9 of 50/);
    assert.deepEqual(await fullSteps(page), planned);
    assert.deepEqual(browser.complaints, []);
  });

  it("searches, keeps and exports what it has drawn, and offers a LoRA's strengths", async () => {
    await using browser = await open();
    const { page } = browser;
    const lora = page.getByLabel("LoRA");
    await lora.selectOption({ label: "style" });
    assert.deepEqual(await page.getByLabel("Strength").locator("option").allInnerTexts(), ["0.5", "1"]);
    await lora.selectOption({ label: "None" });
    assert.equal(await page.getByLabel("Strength").isVisible(), false);
    for (const name of ["owl", "fox"]) {
      await draw(page, name, () => page.locator("#steps").fill("4"));
      await page.getByRole("button", { name: `Open ${name}` }).waitFor();
    }
    await page.getByLabel("Search prompts").fill("OW");
    await page.getByText("1 of 2 pictures").waitFor();
    await page.getByRole("button", { name: "Favourite owl" }).click({ force: true });
    await page.getByLabel("Search prompts").fill("");
    await page.getByRole("button", { name: "Favourites", exact: true }).click();
    assert.equal(await page.locator(".picture").count(), 1);
    await page.getByRole("button", { name: "Favourites", exact: true }).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "spectrum-edge.zip");
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByRole("button", { name: "Delete all but favourites, really?" }).click();
    await page.getByText("1 picture,").waitFor();
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(browser.complaints, []);
  });

  it("changes and forgets its key, and recovers when the service is back", async () => {
    await using locked = await startService("edge", {
      env: { PORT: "0", SPECTRUM_API_KEYS: "sk-first,sk-second", SPECTRUM_WORKERS: service.workerUrl! },
    });
    await using browser = await open(`${locked.url}/#key=sk-first`);
    const { page } = browser;
    const key = () => page.evaluate(() => sessionStorage.getItem("api-key"));
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "API key" }).click();
    await dialog.getByLabel("API key").fill("sk-second");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    assert.equal(await key(), "sk-second");
    await page.getByRole("button", { name: "API key" }).click();
    await dialog.getByRole("button", { name: "Forget key" }).click();
    await dialog.waitFor({ state: "hidden" });
    assert.equal(await key(), null);

    await page.evaluate(() => sessionStorage.setItem("api-key", "sk-first"));
    await page.route("**/v1/models", (route) => route.abort());
    await page.reload();
    await page.getByText("The service cannot be reached").waitFor();
    await page.unroute("**/v1/models");
    await page.waitForFunction(() => document.querySelectorAll('.step[data-kind="full"]').length === 7);
    assert.equal(await page.locator("#form-error").innerText(), "");
  });
});

const prompt = (page: Page) => page.getByLabel("Prompt", { exact: true });

const done = (page: Page, index: number) => page.locator('.step[data-state="done"]').nth(index);

async function draw(page: Page, text: string, setUp = () => Promise.resolve()): Promise<void> {
  await page.locator(".step").first().waitFor();
  await prompt(page).fill(text);
  await setUp();
  await prompt(page).press("Enter");
}

/** Which steps of the strip are full. */
async function fullSteps(page: Page): Promise<number[]> {
  return await page.locator(".step").evaluateAll((steps) =>
    steps.flatMap((step, index) => (step as HTMLElement).dataset["kind"] === "full" ? [index] : [])
  );
}
