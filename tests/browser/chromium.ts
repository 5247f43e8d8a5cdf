// An installed Chromium, its windows, and what they complain of.
import { type Browser, chromium, type Page } from "playwright-core";
import { findProgram } from "../installed.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
const APPLICATIONS = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Its path: CHROMIUM, or the first that is on the PATH or among macOS's applications. */
export function findChromium(): string | undefined {
  const named = Deno.env.get("CHROMIUM");
  return findProgram(...named === undefined ? [] : [named], ...NAMES, ...APPLICATIONS);
}

/** Starts it, with an empty profile of its own. */
export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: FLAGS, headless: true });
}

export interface OpenPageOptions {
  url: string;
  /** Pixels. @default 1280 */
  width?: number;
  colorScheme?: "light" | "dark";
  reducedMotion?: "reduce" | "no-preference";
}

/** A page that shares no storage with others. */
export interface OpenPage extends AsyncDisposable {
  page: Page;
  /** Console errors and warnings, thrown errors, requests to other hosts. */
  complaints: string[];
}

export async function openPage(browser: Browser, options: OpenPageOptions): Promise<OpenPage> {
  const { url, width = 1280, colorScheme = "light", reducedMotion = "no-preference" } = options;
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme,
    reducedMotion,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  // Generous, as a busy machine draws slowly; nothing waits longer than it must.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== new URL(url).origin && protocol !== "blob:") {
      complaints.push(`request to ${request.url()}`);
    }
  });
  await page.goto(url);
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}
