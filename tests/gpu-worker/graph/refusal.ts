// Options that a graph's builder rejects with an error that names them.
import { it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";

export type RefusedOption = [option: string, value: unknown, message: RegExp];

/**
 * Declares a test case for each option.
 * @param build builds a graph with a valid config, changed by the given options
 */
export function refusalCases(
  refused: readonly RefusedOption[],
  build: (changes: Record<string, unknown>) => unknown,
): void {
  for (const [option, value, message] of refused) {
    it(`refuses ${option} ${JSON.stringify(value)} by name`, () => {
      assertRefused(() => build({ [option]: value }), message);
    });
  }
}

export function assertRefused(build: () => unknown, message: RegExp): void {
  assert.throws(build, (error) => error instanceof CheckpointError && message.test(error.message));
}
