// Decides which prompts of a file are still to be drawn, and into which folder.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { BatchPrompt } from "../read_prompts.ts";
import type { BatchRequest, BatchTask } from "./batch_messages.ts";

export interface BatchItem extends BatchPrompt, BatchTask {}

export interface BatchFailure extends BatchPrompt {
  reason: string;
}

export interface BatchPlan {
  todo: BatchItem[];
  /** Number of prompts that have a picture already. */
  finished: number;
  /** Prompts that cannot be drawn. */
  refused: BatchFailure[];
}

export interface PlanOptions {
  /** Folder of the experiment. */
  output: string;
  /** Completes a request or throws. */
  complete: (prompt: string) => BatchRequest;
  settingsOf: (request: BatchRequest) => Record<string, unknown>;
}

/**
 * Plans a batch.
 * @throws {Error} if a folder holds a picture of another
 * prompt or of other settings, which must not be overwritten.
 */
export function planBatch(
  prompts: readonly BatchPrompt[],
  { output, complete, settingsOf }: PlanOptions,
): BatchPlan {
  const plan: BatchPlan = { todo: [], finished: 0, refused: [] };
  const taken = new Set<string>();
  for (const { line, prompt } of prompts) {
    const folder = join(output, uniqueName(prompt, taken));
    let request: BatchRequest;
    try {
      request = complete(prompt);
    } catch (error) {
      plan.refused.push({ line, prompt, reason: error instanceof Error ? error.message : String(error) });
      continue;
    }
    const settings = settingsOf(request);
    if (isFinished(folder, { prompt, settings })) plan.finished++;
    else plan.todo.push({ line, prompt, folder, request, settings });
  }
  return plan;
}

/**
 * Returns the reference's folder name: 50 characters with "_" for " " and ".". Unlike
 * there, prompts with equal beginnings get different folders.
 */
function uniqueName(prompt: string, taken: Set<string>): string {
  // deno-lint-ignore no-control-regex -- such characters are what is looked for
  const name = [...prompt.replace(/[ ./\\\x00-\x1f]/g, "_")].slice(0, 50).join("");
  for (let count = 1;; count++) {
    const candidate = count === 1 ? name : `${name}_${count}`;
    if (taken.has(candidate)) continue;
    taken.add(candidate);
    return candidate;
  }
}

/**
 * Returns whether the picture is complete. stats.json is
 * written last, so a picture without it does not count.
 */
function isFinished(
  folder: string,
  { prompt, settings }: { prompt: string; settings: Record<string, unknown> },
): boolean {
  const stats = readStats(join(folder, "stats.json"));
  if (stats === undefined || !existsSync(join(folder, "image.png"))) return false;
  const other = stats["prompt"] !== prompt
    ? "another prompt"
    : firstDifference(stats["settings"], JSON.parse(JSON.stringify(settings)));
  if (other === undefined) return true;
  throw new Error(
    `Cannot draw '${prompt}' as ${folder} holds a picture of ${other}: choose another --exp-name`,
  );
}

function readStats(path: string): Record<string, unknown> | undefined {
  try {
    const stats = JSON.parse(Deno.readTextFileSync(path));
    return typeof stats === "object" && stats !== null ? stats : undefined;
  } catch {
    return undefined;
  }
}

function firstDifference(found: unknown, settings: Record<string, unknown>): string | undefined {
  const there = (typeof found === "object" && found !== null ? found : {}) as Record<string, unknown>;
  const name = Object.keys({ ...there, ...settings })
    .find((name) => !isDeepStrictEqual(there[name], settings[name]));
  return name &&
    `other settings (${name} ${JSON.stringify(there[name])}, now ${JSON.stringify(settings[name])})`;
}
