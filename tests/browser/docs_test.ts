// The API's documentation in a real Chromium, under its own policy, with nothing fetched from elsewhere.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { findChromium, launchChromium, openPage } from "./chromium.ts";
import { look } from "./look.ts";
import { startService } from "./service.ts";
import { skipWithout } from "../installed.ts";

const executablePath = findChromium();
const skip = skipWithout("chromium", { found: executablePath, hint: "CHROMIUM may name one" });

describe("/docs in Chromium", { skip }, () => {
  it("openApiRoutes() lists the operations and lets one be opened, without a complaint", async () => {
    await using service = await startService("edge", { env: { PORT: "0" } });
    const chromium = await launchChromium(executablePath!);
    try {
      await using browser = await openPage(chromium, { url: `${service.url}/docs` });
      const operation = browser.page.locator("#operations-Images-generateImages");
      await operation.waitFor();
      assert.match(await operation.innerText(), /Pictures from a prompt/);
      await operation.locator(".opblock-summary-control").first().click();
      await operation.locator(".opblock-body").getByText("Request body").waitFor();
      assert.deepEqual(browser.complaints.filter((text) => !text.startsWith("request to data:")), []);
    } finally {
      await chromium.close();
    }
  });

  it("is dark where the reader's system is", async () => {
    await using service = await startService("edge", { env: { PORT: "0" } });
    const chromium = await launchChromium(executablePath!);
    try {
      for (const colorScheme of ["light", "dark"] as const) {
        await using browser = await openPage(chromium, { url: `${service.url}/docs`, colorScheme });
        await browser.page.locator("#operations-Images-generateImages").waitFor();
        const light = await browser.page.evaluate(() => {
          const [channel] = getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g)!;
          return Number(channel);
        });
        assert.equal(light > 0 && light < 100, colorScheme === "dark", `${light}`);
        await look(browser.page, `docs-${colorScheme}`);
      }
    } finally {
      await chromium.close();
    }
  });
});
