// Executes runs that the queue hands over together.
import { createBatch } from "../denoiser/picture_batch.ts";
import type { DeviceTurn } from "./execute_run.ts";
import type { Run } from "./run.ts";

export interface ExecuteBatchOptions {
  /** Makes the result of one run; never rejects. */
  execute: (run: Run, turn: DeviceTurn) => Promise<void>;
  /** Called once none of the runs needs the device any more. */
  leaveDevice: () => void;
}

/** Executes all runs as one picture batch. Resolves when all have ended; never rejects. */
export async function executeBatch(
  runs: readonly Run[],
  { execute, leaveDevice }: ExecuteBatchOptions,
): Promise<void> {
  const places = runs.length > 1 ? createBatch(runs.length) : [];
  let onDevice = runs.length;
  const leave = () => {
    if (--onDevice === 0) leaveDevice();
  };
  await Promise.all(runs.map((run, i) => execute(run, { batch: places[i], leave })));
}
