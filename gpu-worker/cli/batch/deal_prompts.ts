// Deals prompts to processes, one per device. Each process takes the next prompt when it is free.
import type { BatchDevice } from "./batch_arguments.ts";
import { stepsToRun } from "./batch_messages.ts";
import type { BatchFailure, BatchItem } from "./batch_plan.ts";
import { BatchProcess, type BatchProcessOptions } from "./batch_process.ts";

export interface DealOptions extends Omit<BatchProcessOptions, "device"> {
  devices: readonly BatchDevice[];
  onStep: () => void;
  /** Called when an item is drawn or has failed (with a reason). `missing` of its steps were not run. */
  onEnd: (item: BatchItem, end: { failed?: string; missing: number }) => void;
}

export interface Dealt {
  drawn: { seconds: number; fullPasses: number }[];
  failed: BatchFailure[];
  /** Devices that could not be used at all. */
  lost: { device: string; reason: string }[];
}

/**
 * Draws all `items`. A prompt that fails does not stop the others. A process that dies fails the prompt it
 * was drawing and is restarted. If a device cannot be used, its prompts go to the other devices.
 * @throws {Error} if none of the devices can be used.
 * @throws the signal's reason, once all processes have ended.
 */
export async function dealPrompts(
  items: readonly BatchItem[],
  { devices, onStep, onEnd, ...options }: DealOptions,
): Promise<Dealt> {
  const dealt: Dealt = { drawn: [], failed: [], lost: [] };
  const queue = [...items];
  const fail = (item: BatchItem, { reason, missing }: { reason: string; missing: number }) => {
    const { line, prompt } = item;
    dealt.failed.push({ line, prompt, reason });
    onEnd(item, { failed: reason, missing });
  };

  /** Draws until the queue is empty or the process has died. */
  async function drawAll(process: BatchProcess): Promise<void> {
    for (let item; (item = queue.shift()) !== undefined;) {
      let missing = stepsToRun(item.request);
      try {
        const end = await process.draw(item, () => {
          missing--;
          onStep();
        });
        if (end.type === "failed") {
          fail(item, { reason: end.reason, missing });
        } else {
          dealt.drawn.push(end);
          onEnd(item, { missing });
        }
      } catch (error) {
        options.signal.throwIfAborted();
        return fail(item, { reason: (error as Error).message, missing });
      }
    }
  }

  async function serve(device: BatchDevice): Promise<void> {
    while (queue.length > 0) {
      try {
        await using process = await BatchProcess.start({ ...options, device });
        await drawAll(process);
      } catch (error) {
        options.signal.throwIfAborted();
        dealt.lost.push({ device: device.name, reason: (error as Error).message });
        return;
      }
    }
  }

  const ends = await Promise.allSettled(devices.slice(0, items.length).map(serve));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  if (dealt.lost.length > 0 && queue.length === items.length) throw new Error(dealt.lost[0]!.reason);
  for (const item of queue) fail(item, { reason: "no device is left", missing: stepsToRun(item.request) });
  dealt.failed.sort((a, b) => a.line - b.line);
  return dealt;
}
