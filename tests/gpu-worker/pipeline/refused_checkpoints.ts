// Cases of checkpoints that a family refuses.
import { it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readModel } from "../../../gpu-worker/model/read_model.ts";
import { ChangedCheckpoint, type CheckpointChanges } from "./changed_checkpoint.ts";

/** Changes of a checkpoint, and the error that they make of it. */
export type RefusedCheckpoint = [changes: CheckpointChanges, message: RegExp];

/** Adds a case to a describe() for each change of the checkpoint in `folder`. */
export function refusedCheckpoints(folder: string, cases: readonly RefusedCheckpoint[]): void {
  for (const [changes, message] of cases) {
    it(`refuses ${JSON.stringify(changes)}`, () => {
      using checkpoint = new ChangedCheckpoint(folder, changes);
      assert.throws(() => readModel(checkpoint.folder), { message });
    });
  }
}
