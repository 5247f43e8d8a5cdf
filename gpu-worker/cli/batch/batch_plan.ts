// Decides which prompts of a file are still to be drawn, and into which folder.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { letOthersRun } from "../../../protocol/process/let_others_run.ts";
import { FreeNames } from "../free_names.ts";
import { isDeviceName } from "../is_device_name.ts";
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
  complete: (prompt: string, seed: number) => BatchRequest;
  /** First seed of every prompt; -1 for a random one each. @default 42 */
  seed?: number;
  /** Pictures of each prompt. @default 1 */
  n?: number;
  /** Whether files say how they were made. @default true */
  metadata?: boolean;
  /** 0..2^32-1. */
  drawSeed?: () => number;
  settingsOf: (request: BatchRequest) => Record<string, unknown>;
  /** @default never aborted */
  signal?: AbortSignal;
}

const PROMPTS_AT_ONCE = 100;

/**
 * Plans a batch.
 * @throws {Error} if a folder holds a picture of another
 * prompt or of other settings, which must not be overwritten.
 * @throws the signal's reason, once it is aborted.
 */
export async function planBatch(
  prompts: readonly BatchPrompt[],
  { output, complete, settingsOf, seed = 42, n = 1, metadata = true, drawSeed = () => 0, signal }:
    PlanOptions,
): Promise<BatchPlan> {
  const plan: BatchPlan = { todo: [], finished: 0, refused: [] };
  const names = new FreeNames();
  const isRandom = seed === -1;
  for (const [index, { line, prompt }] of prompts.entries()) {
    // A plan of many lines takes seconds, in which Ctrl-C must be heard.
    if (index % PROMPTS_AT_ONCE === 0 && index > 0) await letOthersRun();
    signal?.throwIfAborted();
    const first = isRandom ? drawSeed() : seed;
    const name = folderName(prompt, names);
    for (let i = 0; i < n; i++) {
      // A random seed is none to find a picture by.
      const folder = join(output, n === 1 ? name : `${name}-${isRandom ? i + 1 : first + i}`);
      let request: BatchRequest;
      try {
        request = complete(prompt, first + i);
      } catch (error) {
        plan.refused.push({ line, prompt, reason: error instanceof Error ? error.message : String(error) });
        break;
      }
      const settings = settingsOf(request);
      if (isFinished(folder, { prompt, settings, isRandom })) plan.finished++;
      else plan.todo.push({ line, prompt, folder, request, settings, metadata });
    }
  }
  return plan;
}

/**
 * Returns the reference's folder name: 50 characters with "_" for " " and ".", and for what Windows cannot
 * store. Unlike there, prompts with equal beginnings get different folders.
 */
function folderName(prompt: string, names: FreeNames): string {
  // deno-lint-ignore no-control-regex -- such characters are what is looked for
  const plain = [...prompt.replace(/[ ./\\<>:"|?*\x00-\x1f\x7f]/g, "_")].slice(0, 50).join("");
  const name = isDeviceName(plain) ? `${plain}_` : plain;
  return names.take((count) => count === 1 ? name : `${name}_${count}`);
}

/**
 * Returns whether the picture is complete. stats.json is
 * written last, so a picture without it does not count.
 */
function isFinished(
  folder: string,
  { prompt, settings, isRandom }: { prompt: string; settings: Record<string, unknown>; isRandom: boolean },
): boolean {
  const stats = readStats(join(folder, "stats.json"));
  if (stats === undefined || !existsSync(join(folder, "image.png"))) return false;
  const other = stats["prompt"] !== prompt
    ? "another prompt"
    : firstDifference(stats["settings"], JSON.parse(JSON.stringify(settings)), isRandom ? ["seed"] : []);
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

function firstDifference(
  found: unknown,
  settings: Record<string, unknown>,
  ignored: readonly string[],
): string | undefined {
  const there = (typeof found === "object" && found !== null ? found : {}) as Record<string, unknown>;
  const name = Object.keys({ ...there, ...settings })
    .find((name) => !ignored.includes(name) && !isDeepStrictEqual(there[name], settings[name]));
  return name &&
    `other settings (${name} ${JSON.stringify(there[name])}, now ${JSON.stringify(settings[name])})`;
}
