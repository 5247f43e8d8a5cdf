// Looks at a page: with axe's rules, and by screenshots for people.
import axe from "axe-core";
import type { Page } from "playwright-core";

/** Returns breaches of WCAG 2.2 AA and good practice: rule and element. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run(document);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

/** Keeps a screenshot for people to look at, in the folder that SCREENSHOTS names. */
export async function look(page: Page, name: string): Promise<void> {
  const folder = Deno.env.get("SCREENSHOTS");
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}
